"""From a stream of posts to the stream of their results, computed in batches of like length."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch

from .invalid_post import InvalidPost
from .like_lengths import batches_by_length
from .pillow import Image
from .post_batch import Post, PostBatch
from .post_reader import PostReader
from .prefetch import prefetch

# A window ends early when its posts hold so many bytes of images, or form so many entity pairs, whose results wait.
MAX_WINDOW_BYTES = 2**27
MAX_WINDOW_PAIRS = 4096


@dataclass
class ResultStream:
    r"""
    Reads posts in windows and forms batches of posts of like length within each window. Results keep the order of the
    posts, and so do errors: with `strict`, the results of all posts before the first invalid one are yielded first.

    Args:
        reader: Reads the posts.
        score: Returns one result per post of a batch.
        batch_size: Posts per batch.
        window: Posts per window. Windows end at multiples of it, so that a stream that continues at such a multiple
            forms the same batches.
        num_workers: Threads that open images.
        strict, ambiguous, truncation: See `PostReader`.
        progress: Called with the number of posts of each finished batch.
    """

    reader: PostReader
    score: Callable[[PostBatch], list[dict[str, Any]]]
    batch_size: int
    window: int
    num_workers: int = 0
    strict: bool = True
    ambiguous: str = "error"
    truncation: bool = True
    progress: Callable[[int], Any] | None = None

    def __call__(self, posts: Iterable[Any]) -> Iterator[dict[str, Any]]:
        r"""
        Args:
            posts: Posts, of which one window at a time is read.

        Raises:
            InvalidPost: With `strict`, a post is invalid.
        """
        last = _Last()
        # With `strict` an error is raised when its turn comes, so that batches out of order do not change it.
        encode = partial(self.reader.encode, strict=False, truncation=self.truncation)
        waiting: dict[int, dict[str, Any] | InvalidPost] = {}
        due = 0
        for batch in prefetch(encode, self._batches(posts, last), self.num_workers):
            self._note_errors(batch, last)
            if all(post.number > last.number for post in batch.posts):
                continue
            results = self.score(batch)
            self._note_errors(batch, last)
            for post, result in zip(batch.posts, results):
                waiting[post.number] = result if post.error is None or not self.strict else post.error
            if self.progress is not None:
                self.progress(len(results))
            while due in waiting:
                result_or_error = waiting.pop(due)
                due += 1
                if isinstance(result_or_error, InvalidPost):
                    raise result_or_error
                yield result_or_error

    def _note_errors(self, batch: PostBatch, last: "_Last") -> None:
        if self.strict:
            last.number = min([last.number, *(post.number for post in batch.posts if post.error is not None)])

    def _batches(self, posts: Iterable[Any], last: "_Last") -> Iterator[list[Post]]:
        for window in self._windows(posts):
            if len(window) <= self.batch_size:
                yield window
                continue
            for indices in batches_by_length(self.reader.lengths(window), self.batch_size):
                batch = [window[i] for i in indices if window[i].number <= last.number]
                if batch:
                    yield batch

    def _windows(self, posts: Iterable[Any]) -> Iterator[list[Post]]:
        iterator, failure = iter(posts), None
        number = pairs = held = 0
        window: list[Post] = []
        while True:
            try:
                given = next(iterator)
            except StopIteration:
                break
            except Exception as error:  # raised after the results of all posts before
                failure = error
                break
            window += self.reader.parse([(number, given)], strict=False, ambiguous=self.ambiguous)
            number, pairs, held = number + 1, pairs + len(window[-1].pairs), held + held_bytes(given)
            ends = self.strict and window[-1].error is not None
            is_large = len(window) >= self.batch_size and (pairs >= MAX_WINDOW_PAIRS or held >= MAX_WINDOW_BYTES)
            if ends or is_large or number % self.window == 0:
                yield window
                window, pairs, held = [], 0, 0
            if ends:
                return
        if window:
            yield window
        if failure is not None:
            raise failure


@dataclass
class _Last:
    """The number of the last post whose result is needed: with `strict`, the first invalid one found so far."""

    number: float = float("inf")


def held_bytes(post: Any) -> int:
    """The memory that a post's images take while it waits: none if they are given as paths."""
    if not isinstance(post, Mapping):
        return 0
    objects = post.get("objects")
    return sum(map(_size, [post.get("image"), *(objects if isinstance(objects, list | tuple) else [objects])]))


def _size(image: Any) -> int:
    if isinstance(image, Mapping):
        image = image.get("bytes")
    if isinstance(image, Image.Image):
        return image.width * image.height * len(image.getbands())
    if isinstance(image, np.ndarray | torch.Tensor):
        return image.nbytes
    return len(image) if isinstance(image, bytes | bytearray) else 0

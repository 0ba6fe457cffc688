"""Second step of `prepare`: runs captioner and grounder on every distinct image without a cached result."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from datasets import Dataset
from PIL.Image import Image
from tqdm.auto import tqdm

from ..processing.image_opening import UnreadableFile, open_image
from ..processing.prefetch import prefetch
from .columns import QUERY, ROWS_PER_BATCH, WANTS_CAPTION, WANTS_OBJECTS, Keys
from .result_cache import Item, ResultCache

WHERE = "the image"  # in messages of `open_image`: an image may belong to many posts
SECONDS_BETWEEN_CLAIMS = 1.0


class Captioner(Protocol):
    """For example `ImageCaptioner`; `settings` is all that a caption depends on besides the image, as plain JSON."""

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def __call__(self, images: list[Image], /) -> Sequence[str]: ...


class Grounder(Protocol):
    """For example `ObjectGrounder`; `settings` is all that boxes depend on besides image and phrases, as plain JSON."""

    @property
    def settings(self) -> Mapping[str, Any]: ...

    def __call__(self, images: list[Image], phrases: list[list[str]], /) -> Sequence[list[dict[str, Any]]]: ...


@dataclass
class PendingWork:
    r"""
    The results that posts need of a distinct image.

    Args:
        split, row: A post with this image.
        caption: Whether a caption is needed.
        queries: Sets of phrases to detect, as JSON, in the order of the posts.
    """

    split: str
    row: int
    caption: bool = False
    queries: dict[str, None] = field(default_factory=dict)


class ModelFault(NamedTuple):
    r"""
    A failure of an image or of a model on an image.

    Args:
        kind: `"image"`, `"caption"` or `"objects"`.
        image: Digest of the image.
        query: Phrases as JSON; empty for images and captions.
        reason: Type and message of the error.
    """

    kind: str
    image: str
    query: str
    reason: str


@dataclass(frozen=True)
class ClaimedBatch:
    r"""
    A batch of images, and what this process computes of them.

    Args:
        digests: All images of the batch.
        items: Items that this process has claimed, by key.
        blocked: Whether another process is computing some of the items.
    """

    digests: list[str]
    items: Mapping[str, list[Item]]
    blocked: bool


class Annotator:
    r"""
    Computes captions and objects that are not in the cache.

    Args:
        results, keys: The cache, and the keys of this run in it.
        captioner, grounder: See `prepare`.
        scanned: Splits from `SplitScan`.
        batch_size, num_workers, max_image_pixels: See `prepare`.

    Attributes:
        faults: Failures on single images, which are tried again by the next run.
        captioned, grounded: Numbers of results that were computed.
    """

    def __init__(
        self,
        results: ResultCache,
        keys: Keys,
        captioner: Captioner | None,
        grounder: Grounder | None,
        scanned: Mapping[str, Dataset],
        batch_size: int,
        num_workers: int,
        max_image_pixels: int,
    ):
        self.results, self.keys, self.captioner, self.grounder = results, keys, captioner, grounder
        self.scanned = scanned
        self.images = {split: rows.select_columns(["image"]) for split, rows in scanned.items()}
        self.batch_size, self.num_workers, self.max_image_pixels = batch_size, num_workers, max_image_pixels
        self.faults: list[ModelFault] = []
        self.captioned = self.grounded = 0

    def pending(self) -> dict[str, PendingWork]:
        """By digest of every distinct image, in the order of the posts."""
        pending: dict[str, PendingWork] = {}
        for split, rows in self.scanned.items():
            columns = rows.select_columns(["image_hash", QUERY, WANTS_CAPTION, WANTS_OBJECTS])
            start = 0
            for batch in columns.iter(ROWS_PER_BATCH):
                for i, (digest, query, caption, objects) in enumerate(zip(*batch.values())):
                    if digest is None:
                        continue
                    work = pending.setdefault(digest, PendingWork(split, start + i))
                    work.caption |= caption
                    if objects:
                        work.queries[query] = None
                start += len(batch["image_hash"])
        return pending

    def run(self, pending: Mapping[str, PendingWork], progress: bool) -> None:
        """Computes all pending results batch by batch, and waits for items that other processes have claimed."""
        digests = list(pending)
        batches = [digests[i : i + self.batch_size] for i in range(0, len(digests), self.batch_size)]
        # Images with cached results are removed from their batches afterwards, so that a resumed run forms the same
        # batches as an undisturbed one.
        batches = [batch for batch in self._without_cached(batches, pending) if batch]
        total = sum(map(len, batches))
        with tqdm(total=total, unit=" images", desc="preparing", disable=None if progress else True) as bar:
            while batches:
                blocked = []
                claims = (self._claim(batch, pending) for batch in batches)
                for batch, images in prefetch(lambda claim: self._open(claim, pending), claims, self.num_workers):
                    self._compute(batch.items, images)
                    if batch.blocked:
                        blocked.append(batch.digests)
                    else:
                        bar.update(len(batch.digests))
                batches = blocked
                if batches:
                    time.sleep(SECONDS_BETWEEN_CLAIMS)

    def _without_cached(self, batches: list[list[str]], pending: Mapping[str, PendingWork]) -> Iterator[list[str]]:
        """Each batch without the images whose results are all in the cache or that are known to be damaged."""
        for start in range(0, len(batches), ROWS_PER_BATCH):
            several = batches[start : start + ROWS_PER_BATCH]
            items = self._items([digest for batch in several for digest in batch], pending)
            known = {key: self.results.get(key, of_key) for key, of_key in items.items()}
            damaged = {digest for (digest, _), value in known[self.keys.image].items() if "error" in value}
            missing = {item[0] for key, of_key in items.items() for item in of_key if item not in known[key]} - damaged
            yield from ([digest for digest in batch if digest in missing] for batch in several)

    def _items(self, digests: Iterable[str], pending: Mapping[str, PendingWork]) -> dict[str, list[Item]]:
        """All items of some images, by key."""
        digests = list(digests)
        items = {self.keys.image: [(digest, "") for digest in digests]}
        if self.keys.caption is not None:
            items[self.keys.caption] = [(digest, "") for digest in digests if pending[digest].caption]
        if self.keys.objects is not None:
            items[self.keys.objects] = [(digest, query) for digest in digests for query in pending[digest].queries]
        return items

    def _claim(self, batch: list[str], pending: Mapping[str, PendingWork]) -> ClaimedBatch:
        claims = {key: self.results.claim(key, items) for key, items in self._items(batch, pending).items()}
        items = {key: mine for key, (mine, _) in claims.items()}
        return ClaimedBatch(batch, items, blocked=any(others for _, others in claims.values()))

    def _open(
        self, batch: ClaimedBatch, pending: Mapping[str, PendingWork]
    ) -> tuple[ClaimedBatch, dict[str, Image | ValueError]]:
        """Opens the images of a batch; an image that cannot be used becomes the error that says why."""
        opened: dict[str, Image | ValueError] = {}
        for digest in dict.fromkeys(digest for items in batch.items.values() for digest, _ in items):
            work = pending[digest]
            try:
                source = self.images[work.split][work.row]["image"]
                opened[digest] = open_image(source, WHERE, self.max_image_pixels)
            except ValueError as error:
                opened[digest] = error
        return batch, opened

    def _compute(self, items: Mapping[str, list[Item]], images: Mapping[str, Image | ValueError]) -> None:
        """Runs the models on a batch and caches all results of the batch in one transaction."""
        usable = {digest: image for digest, image in images.items() if not isinstance(image, ValueError)}
        results: list[tuple[str, str, str, Any]] = []
        for digest, query in items[self.keys.image]:
            error = images[digest]
            if isinstance(error, UnreadableFile):  # it may be readable in the next run: not cached
                self.faults.append(ModelFault("image", digest, query, str(error)))
                continue
            value = {"size": usable[digest].size} if digest in usable else {"error": str(error)}
            results.append((self.keys.image, digest, query, value))
        if self.keys.caption is not None:
            wanted = [item for item in items[self.keys.caption] if item[0] in usable]
            captions = self._answers("caption", wanted, lambda batch: self._caption(batch, usable))
            results += [(self.keys.caption, *item, caption) for item, caption in captions]
            self.captioned += len(captions)
        if self.keys.objects is not None:
            wanted = [item for item in items[self.keys.objects] if item[0] in usable]
            for start in range(0, len(wanted), self.batch_size):
                part = wanted[start : start + self.batch_size]
                objects = self._answers("objects", part, lambda batch: self._ground(batch, usable))
                results += [(self.keys.objects, *item, of_item) for item, of_item in objects]
                self.grounded += len(objects)
        self.results.put(results, claimed=items)

    def _caption(self, items: list[Item], images: Mapping[str, Image]) -> Sequence[str]:
        assert self.captioner is not None  # `keys.caption` is set
        return self.captioner([images[digest] for digest, _ in items])

    def _ground(self, items: list[Item], images: Mapping[str, Image]) -> Sequence[list[dict[str, Any]]]:
        assert self.grounder is not None  # `keys.objects` is set
        return self.grounder([images[digest] for digest, _ in items], [json.loads(query) for _, query in items])

    def _answers(
        self, kind: str, items: list[Item], model: Callable[[list[Item]], Sequence[Any]]
    ) -> list[tuple[Item, Any]]:
        """The results of a model. If it fails on a batch, it runs on single images, to find those that it fails on."""
        if not items:
            return []
        try:
            return list(zip(items, model(items), strict=True))
        except Exception as error:
            answers, faults = [], []
            for item in items:
                try:
                    answers.append((item, model([item])[0]))
                except Exception as alone:
                    faults.append(ModelFault(kind, *item, f"{type(alone).__name__}: {alone}"))
            # If it fails on all images, or on the very first one, the images are not the cause.
            if not answers and (len(items) > 1 or not self.captioned + self.grounded):
                raise error
            self.faults += faults
            return answers

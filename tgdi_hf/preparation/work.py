"""The second step of `prepare`: asks the models what is not known yet of each distinct image."""

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from datasets import Dataset
from PIL.Image import Image
from tqdm.auto import tqdm

from ..processing.image_opening import UnreadableFile, open_image
from .result_cache import Item, ResultCache
from .scan import QUERY, ROWS_AT_ONCE, WANTS_CAPTION, WANTS_OBJECTS, Keys

IMAGE = "the image"  # what `open_image` calls it


@dataclass
class PendingWork:
    """What is wanted of an image, and where one of the posts that have it stands."""

    split: str
    row: int
    caption: bool = False
    queries: dict[str, None] = field(default_factory=dict)


class Work:
    r"""
    Asks the models what is not known yet.

    Args:
        scanned: The splits as `Scan` left them.
        batch_size, num_workers, max_image_pixels: See `prepare`.
    """

    def __init__(
        self,
        results: ResultCache,
        keys: Keys,
        captioner: Callable | None,
        grounder: Callable | None,
        scanned: Mapping[str, Dataset],
        batch_size: int,
        num_workers: int,
        max_image_pixels: int,
    ):
        self.results, self.keys, self.captioner, self.grounder = results, keys, captioner, grounder
        self.scanned = scanned
        self.images = {split: rows.select_columns(["image"]) for split, rows in scanned.items()}
        self.batch_size, self.num_workers, self.max_image_pixels = batch_size, num_workers, max_image_pixels
        self.faults: list[tuple[str, str, str, str]] = []  # kind, image, query, reason
        self.captioned = self.grounded = 0

    def wanted(self) -> dict[str, PendingWork]:
        """Of every distinct image, in the order in which they come."""
        wanted: dict[str, PendingWork] = {}
        for split, rows in self.scanned.items():
            columns = rows.select_columns(["image_hash", QUERY, WANTS_CAPTION, WANTS_OBJECTS])
            start = 0
            for batch in columns.iter(ROWS_AT_ONCE):
                for i, (digest, query, caption, objects) in enumerate(zip(*batch.values())):
                    if digest is None:
                        continue
                    wants = wanted.setdefault(digest, PendingWork(split, start + i))
                    wants.caption |= caption
                    if objects:
                        wants.queries[query] = None
                start += len(batch["image_hash"])
        return wanted

    def do(self, wanted: Mapping[str, PendingWork], progress: bool) -> None:
        """Computes what is wanted, batch after batch; waits for what other processes have claimed."""
        digests = list(wanted)
        chunks = [digests[i : i + self.batch_size] for i in range(0, len(digests), self.batch_size)]
        # Batches are cut before known images are taken out: a run that goes on makes those that it would have made.
        chunks = [chunk for chunk in self._unknown(chunks, wanted) if chunk]
        bar = tqdm(total=sum(map(len, chunks)), unit=" images", desc="preparing", disable=None if progress else True)
        with ThreadPoolExecutor(max(self.num_workers, 1)) as pool, bar:
            while chunks:
                blocked = []
                for chunk, mine, others_are_at_it, images in self._opened(chunks, wanted, pool):
                    self._compute(mine, images)
                    if others_are_at_it:
                        blocked.append(chunk)
                    else:
                        bar.update(len(chunk))
                chunks = blocked
                if chunks:
                    time.sleep(1.0)

    def _unknown(self, chunks: list[list[str]], wanted: Mapping[str, PendingWork]) -> Iterator[list[str]]:
        """Of every batch the images of which something is not known, and which are not known to be broken."""
        for start in range(0, len(chunks), ROWS_AT_ONCE):
            several = chunks[start : start + ROWS_AT_ONCE]
            items = self._items([digest for chunk in several for digest in chunk], wanted)
            known = {key: self.results.get(key, asked) for key, asked in items.items()}
            broken = {digest for (digest, _), value in known[self.keys.image].items() if "error" in value}
            open_ = {item[0] for key, asked in items.items() for item in asked if item not in known[key]} - broken
            yield from ([digest for digest in chunk if digest in open_] for chunk in several)

    def _items(self, digests: Iterable[str], wanted: Mapping[str, PendingWork]) -> dict[str, list[Item]]:
        """What is to be known of some images, by keys."""
        digests = list(digests)
        items = {self.keys.image: [(digest, "") for digest in digests]}
        if self.keys.caption is not None:
            items[self.keys.caption] = [(digest, "") for digest in digests if wanted[digest].caption]
        if self.keys.objects is not None:
            items[self.keys.objects] = [(digest, query) for digest in digests for query in wanted[digest].queries]
        return items

    def _opened(self, chunks: Iterable[list[str]], wanted: Mapping[str, PendingWork], pool: ThreadPoolExecutor):
        """Claims and opens a batch while the models are at the one before."""
        before = None
        for chunk in [*chunks, None]:
            coming = None
            if chunk is not None:
                claims = {key: self.results.claim(key, items) for key, items in self._items(chunk, wanted).items()}
                mine = {key: items for key, (items, _) in claims.items()}
                digests = dict.fromkeys(digest for items in mine.values() for digest, _ in items)
                opening = {digest: pool.submit(self._open, wanted[digest]) for digest in digests}
                coming = chunk, mine, any(others for _, others in claims.values()), opening
            if before is not None:
                *rest, opening = before
                yield *rest, {digest: future.result() for digest, future in opening.items()}
            before = coming

    def _open(self, wants: PendingWork) -> Image | ValueError:
        """The image, or why there is none."""
        try:
            return open_image(self.images[wants.split][wants.row]["image"], IMAGE, self.max_image_pixels)
        except ValueError as error:
            return error

    def _compute(self, mine: Mapping[str, list[Item]], images: Mapping[str, Image | ValueError]) -> None:
        usable = {digest: image for digest, image in images.items() if not isinstance(image, ValueError)}
        done = []
        for digest, query in mine[self.keys.image]:
            if isinstance(images[digest], UnreadableFile):  # next time it may be readable: nothing to keep
                self.faults.append(("image", digest, query, str(images[digest])))
                continue
            value = {"size": usable[digest].size} if digest in usable else {"error": str(images[digest])}
            done.append((self.keys.image, digest, query, value))
        asked = [item for item in mine.get(self.keys.caption, ()) if item[0] in usable]
        captions = self._ask("caption", asked, lambda items: self.captioner([usable[d] for d, _ in items]))
        done += [(self.keys.caption, *item, caption) for item, caption in captions]
        self.captioned += len(captions)
        asked = [item for item in mine.get(self.keys.objects, ()) if item[0] in usable]
        for start in range(0, len(asked), self.batch_size):
            found = self._ask(
                "objects",
                asked[start : start + self.batch_size],
                lambda items: self.grounder([usable[d] for d, _ in items], [json.loads(query) for _, query in items]),
            )
            done += [(self.keys.objects, *item, objects) for item, objects in found]
            self.grounded += len(found)
        self.results.put(done, claimed=mine)

    def _ask(self, kind: str, items: list[Item], model: Callable) -> list[tuple[Item, Any]]:
        """What a model says. If it fails on a batch, it is asked for one image at a time, to find which to blame."""
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
                    faults.append((kind, *item, f"{type(alone).__name__}: {alone}"))
            if not answers and (len(items) > 1 or not self.captioned + self.grounded):  # the images are not to blame
                raise error
            self.faults += faults
            return answers

"""First step of `prepare`: checks every post and finds its image."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset, Features, Image, List, Value
from datasets.arrow_writer import ArrowWriter

from ..data.dataset_columns import undecoded
from ..data.mention_occurrences import with_all_occurrences
from ..processing.head_and_tail import head_tail_pairs
from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import FILE_NAME, checked_post, hint, meant_keys, without_nan
from ..processing.post_text import PostText
from ..processing.query_phrases import queries_for
from .columns import FAULT, HELPERS, QUERY, ROW, ROWS_PER_BATCH, WANTS_CAPTION, WANTS_OBJECTS, Keys
from .faults import Fault
from .image_finder import FoundImage, ImageFinder
from .object_cells import with_typed_objects

# The only columns that `prepare` reads; no relation label is among them. Of columns whose names are probably meant for
# one of these (`images`), it reads only whether they are empty.
READ = ("id", "text", "words", "head", "tail", "image", "caption", "objects")
CACHED_QUERIES = 100_000


@dataclass(frozen=True)
class ScanSettings:
    r"""
    Args:
        keys: Tell whether captions and objects are wanted.
        finder: Resolves images.
        query: Maps a text and two entity spans to the phrases to detect, from `phrase_query`.
        ambiguous: See `prepare`.
    """

    keys: Keys
    finder: ImageFinder
    query: Callable[..., str]
    ambiguous: str = "error"


def phrase_query(nlp: Callable | None) -> Callable[..., str]:
    """`queries_for` as JSON. Cached: retweets repeat texts, and a text has several entity pairs."""
    return lru_cache(CACHED_QUERIES)(partial(_query, nlp))


class SplitScan:
    r"""
    Scans one split: checks text, entities and ids, finds the image of each post, and marks which posts need a caption
    or objects.

    Args:
        rows: The posts.
        split: Name of the split.
        settings: See `ScanSettings`.
        faults: List that faults are appended to.

    Raises:
        ValueError: A required column is missing.
    """

    def __init__(self, rows: Dataset, split: str, settings: ScanSettings, faults: list[Fault]):
        self.split, self.settings, self.faults = split, settings, faults
        self.ids: set[str] = set()
        self.repeated: int | None = None  # the row of the current post, if an earlier post has its id
        self.origins: np.ndarray | None = None
        rows = with_typed_objects(undecoded(rows), split, settings.finder, self._objects_fault)
        self.columns = self._columns_to_read(rows)
        if settings.ambiguous == "all":
            rows, self.origins = with_all_occurrences(rows)
        self.rows = rows

    def write(self, file: Path) -> None:
        """Writes the scanned rows, with the columns `HELPERS`, to an Arrow file."""
        features = self.rows.features.copy()
        features["head"] = features["tail"] = List(Value("int32"))
        features["image"] = Image(decode=False)
        features["image_hash"] = Value("string")
        features |= {QUERY: Value("string"), FAULT: Value("string")}
        features |= {WANTS_CAPTION: Value("bool"), WANTS_OBJECTS: Value("bool"), ROW: Value("int64")}
        if not len(self.rows):  # `map` would not write a file
            with ArrowWriter(features=Features(features), path=str(file)) as writer:
                writer.finalize()
            return
        self.rows.map(
            self._scan_batch,
            batched=True,
            batch_size=ROWS_PER_BATCH,
            with_indices=True,
            input_columns=self.columns,
            features=Features(features),
            cache_file_name=str(file),
            load_from_cache_file=False,
            new_fingerprint=f"scan-{self.split}",
            desc=f"reading {self.split}",
        )

    def _columns_to_read(self, rows: Dataset) -> list[str]:
        columns = [name for name in READ if name in rows.column_names]
        missing = {name for name in ("head", "tail") if name not in columns}
        missing_text = {"text", "words"} if not {"text", "words"} & set(columns) else set()
        if missing or missing_text:
            raise ValueError(
                f"The split {self.split!r} has the columns {', '.join(rows.column_names)}; expected text (or words), "
                f"head and tail{hint(rows.column_names, missing_text or missing)}."
            )
        if "image" not in columns and FILE_NAME in rows.column_names:
            columns.append(FILE_NAME)
        optional = {"image", "objects", "caption"}
        columns += [name for name in rows.column_names if name not in columns and optional & set(meant_keys(name))]
        return columns

    def _scan_batch(self, *arguments: list) -> dict[str, list]:
        *values, indices = arguments
        posts: list[dict[str, Any]] = []
        errors: list[InvalidPost | None] = []
        for *cells, index in zip(*values, indices):
            post, error = dict(zip(self.columns, cells)), None
            try:
                post = checked_post(post, self._where(index))
            except InvalidPost as invalid:
                post, error = without_nan(post), invalid
            posts.append(post)
            errors.append(error)
        images: list[FoundImage] = []
        for post, index, image in zip(posts, indices, self.settings.finder.find([post.get("image") for post in posts])):
            if isinstance(image, ValueError):
                self._fault(post.get("id"), index, "image", str(image), kept=True)
                image = FoundImage()
            images.append(image)
        rows = [self._scan_post(*arguments) for arguments in zip(posts, indices, errors, images)]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _scan_post(
        self, post: Mapping[str, Any], index: int, error: InvalidPost | None, image: FoundImage
    ) -> dict[str, Any]:
        number, occurrence = self._origin(index)
        row: dict[str, Any] = dict.fromkeys(("head", "tail", *HELPERS))
        row |= {"image": image.stored, "image_hash": image.digest, ROW: number}
        if {"text", "words"} <= set(self.columns):  # if a post has words, its spans count words
            row["text"] = post.get("text") if post.get("words") is None else None
        try:
            if error is not None:
                raise error
            text = PostText(post, self._where(index), self.settings.ambiguous)
            pair = head_tail_pairs(text, post.get("head"), post.get("tail"))[occurrence]
            row["head"], row["tail"] = (entity.units for entity in pair)
        except ValueError as invalid:
            row[FAULT] = str(invalid)
            self._fault(post.get("id"), index, "text", row[FAULT], kept=False)
        identity = post.get("id")
        if occurrence == 0 and identity is not None:
            self.repeated = number if str(identity) in self.ids else None
            self.ids.add(str(identity))
        if identity is not None and self.repeated == number:
            row[FAULT] = f"{self._where(index)}: an earlier post has the same id {identity!r}."
            self._fault(identity, index, "id", row[FAULT], kept=False)
        usable = image.digest is not None and row[FAULT] is None
        keys = self.settings.keys
        row[WANTS_CAPTION] = usable and keys.caption is not None and not post.get("caption")
        row[WANTS_OBJECTS] = usable and keys.objects is not None and not post.get("objects")
        if row[WANTS_OBJECTS]:
            row[QUERY] = self.settings.query(text.text, *sorted(entity.span for entity in pair))
        return row

    def _origin(self, index: int) -> tuple[int, int]:
        """The index of the post that a row comes from, and that of its pair of occurrences of head and tail."""
        if self.origins is None:
            return index, 0
        number, occurrence = self.origins[index].tolist()
        return number, occurrence

    def _where(self, index: int) -> str:
        return f"{self.split}, row {self._origin(index)[0]}"

    def _objects_fault(self, identity: Any, index: int, reason: str) -> None:
        self._fault(identity, index, "objects", reason, kept=True)

    def _fault(self, identity: Any, index: int, kind: str, reason: str, kept: bool) -> None:
        """Reports a fault once per post, however many rows the post has."""
        number, occurrence = self._origin(index)
        if occurrence == 0:
            name = None if identity is None else str(identity)
            self.faults.append(Fault(self.split, number, name, kind, reason, kept))


def _query(nlp: Callable | None, text: str, *entities: tuple[int, int]) -> str:
    return json.dumps(queries_for(text, entities, nlp), ensure_ascii=False)

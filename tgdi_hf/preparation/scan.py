"""The first step of `prepare`: checks every post, and finds out which image it has."""

import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from datasets import Dataset, Features, Image, List, Value
from datasets.arrow_writer import ArrowWriter

from ..data.dataset_columns import undecoded
from ..data.image_identity import digest_of
from ..data.mention_occurrences import with_all_occurrences
from ..processing.head_and_tail import head_tail_pairs
from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import FILE_NAME, checked_post, hint, is_missing, meant_keys, without_nan
from ..processing.post_text import PostText
from ..processing.query_phrases import queries_for
from .result_cache import ResultCache

ROWS_AT_ONCE = 1000
# All that is ever read of a post; of columns that are probably meant for one of these (`images`), only whether they are
# filled. A relation, under whatever name, is not among it.
READ = ("id", "text", "words", "head", "tail", "image", "caption", "objects")
# What an image has to be looked up for: columns that the scan adds and the output leaves out.
QUERY, FAULT, WANTS_CAPTION, WANTS_OBJECTS = "_query", "_fault", "_wants_caption", "_wants_objects"
ROW = "_row"  # the number of the post, of which there may be several rows
HELPERS = [QUERY, FAULT, WANTS_CAPTION, WANTS_OBJECTS, ROW]


@dataclass(frozen=True)
class Fault:
    r"""
    A post that could not be used as it is.

    Args:
        split, row, id: Which one.
        kind: `"text"`, `"id"`, `"image"`, `"caption"` or `"objects"`: what could not be used.
        reason: What was expected and what was found.
        kept: Whether the post is in the output: one without a usable text is not, one without a usable image is, as a
            post that has no image.
    """

    split: str
    row: int
    id: str | None
    kind: str
    reason: str
    kept: bool


@dataclass(frozen=True)
class Keys:
    """Under which keys results of this run are kept."""

    image: str
    caption: str | None
    objects: str | None


class Scan:
    """Reads all posts once: checks text, entities and ids, and finds out which image each has."""

    def __init__(
        self,
        results: ResultCache,
        keys: Keys,
        folder: Path,
        root: Path | None,
        nlp: Callable | None,
        faults: list[Fault],
        ambiguous: str = "error",
    ):
        self.results, self.keys, self.faults, self.ambiguous = results, keys, faults, ambiguous
        # Posts are shared and have several pairs of entities: texts come again.
        self.query = lru_cache(100_000)(partial(_query, nlp))
        self.folder, self.root = folder.absolute(), root and root.resolve()
        self.ids: set[str] = set()

    def __call__(self, rows: Dataset, split: str, file: Path) -> None:
        self.split, self.origins = split, None
        rows = self._with_objects(undecoded(rows), split)
        columns = [name for name in READ if name in rows.column_names]
        missing = [name for name in ("head", "tail") if name not in columns]
        wanted = {"text", "words"} if not {"text", "words"} & set(columns) else set()
        if missing or wanted:
            raise ValueError(
                f"The split {split!r} has the columns {', '.join(rows.column_names)}; expected text (or words), head "
                f"and tail{hint(rows.column_names, wanted or missing)}."
            )
        if "image" not in columns and FILE_NAME in rows.column_names:
            columns.append(FILE_NAME)
        read = {"image", "objects", "caption"}
        columns += [name for name in rows.column_names if name not in columns and read & set(meant_keys(name))]
        self.columns, self.ids, self.repeated = columns, set(), None
        if self.ambiguous == "all":
            rows, self.origins = with_all_occurrences(rows)
        features = rows.features.copy()
        features["head"] = features["tail"] = List(Value("int32"))
        features["image"] = Image(decode=False)
        features["image_hash"] = Value("string")
        features |= {QUERY: Value("string"), FAULT: Value("string")}
        features |= {WANTS_CAPTION: Value("bool"), WANTS_OBJECTS: Value("bool"), ROW: Value("int64")}
        if not len(rows):  # `map` would write nothing
            with ArrowWriter(features=Features(features), path=str(file)) as writer:
                writer.finalize()
            return
        rows.map(
            self._batch,
            batched=True,
            batch_size=ROWS_AT_ONCE,
            with_indices=True,
            input_columns=columns,
            features=Features(features),
            cache_file_name=str(file),
            load_from_cache_file=False,
            new_fingerprint=f"scan-{split}",
            desc=f"reading {split}",
        )

    def _with_objects(self, rows: Dataset, split: str) -> Dataset:
        """Objects that are cells of JSON, or paths, as boxes or as `datasets` stores images."""
        kind = kind_of_objects(rows)
        if kind is None:
            return rows
        feature = List(Image(decode=False)) if kind == "paths" else List(List(Value("float32")))

        def stored(cells: list, *rest: list) -> dict[str, list]:
            found, (*ids, indices) = [], rest
            for i, (cell, index) in enumerate(zip(cells, indices)):
                try:
                    found.append(self._objects(cell, kind, f"{split}, row {index}"))
                except (ValueError, TypeError) as error:
                    found.append(None)
                    self._fault({"id": ids[0][i] if ids else None}, index, "objects", str(error), kept=True)
            return {"objects": found}

        return rows.map(
            stored,
            batched=True,
            batch_size=ROWS_AT_ONCE,
            with_indices=True,
            input_columns=["objects", *(["id"] if "id" in rows.column_names else [])],
            features=Features({**rows.features, "objects": feature}),
            load_from_cache_file=False,
            new_fingerprint=f"objects-{split}",
            desc=f"reading objects of {split}",
        )

    def _objects(self, cell: Any, kind: str, where: str) -> list | None:
        parts = parsed_cell(cell, where)
        expected = str if kind == "paths" else list
        if wrong := [part for part in parts or () if not isinstance(part, expected)]:
            raise ValueError(f"{where}: `objects` has {wrong[0]!r:.80}, where other posts have {kind}.")
        if parts is None or kind == "boxes":
            return parts and [[float(number) for number in box] for box in parts]
        found = []
        for part in parts:
            path = self._content_or_path(part)[1]
            if path is None or not os.path.isfile(path):
                raise ValueError(f"{path or part}: there is no such file.")
            found.append({"bytes": None, "path": path})
        return found

    def _batch(self, *values) -> dict[str, list]:
        *values, indices = values
        posts, wrong = [], []
        for *row, index in zip(*values, indices):
            post, error = dict(zip(self.columns, row)), None
            try:
                post = checked_post(post, f"{self.split}, row {self._origin(index)[0]}")
            except InvalidPost as found:
                post, error = without_nan(post), found
            posts.append(post)
            wrong.append(error)
        images = self._images(posts, indices)
        rows = [self._post(*row, *image) for *row, image in zip(posts, indices, wrong, images)]
        return {name: [row[name] for row in rows] for name in rows[0]}

    def _post(
        self, post: Mapping[str, Any], index: int, wrong: InvalidPost | None, image: dict | None, digest: str | None
    ) -> dict[str, Any]:
        number, place = self._origin(index)
        row = dict.fromkeys(("head", "tail", *HELPERS)) | {"image": image, "image_hash": digest, ROW: number}
        if {"text", "words"} <= set(self.columns):  # spans count words where there are words
            row["text"] = post.get("text") if post.get("words") is None else None
        try:
            if wrong is not None:
                raise wrong
            text = PostText(post, f"{self.split}, row {number}", self.ambiguous)
            pair = head_tail_pairs(text, post.get("head"), post.get("tail"))[place]
            row["head"], row["tail"] = (entity.units for entity in pair)
        except ValueError as error:
            row[FAULT] = self._fault(post, index, "text", str(error), kept=False)
        identity = post.get("id")
        if place == 0 and identity is not None:
            self.repeated = number if str(identity) in self.ids else None
            self.ids.add(str(identity))
        if identity is not None and self.repeated == number:
            reason = f"{self.split}, row {number}: a post with the id {identity!r} stands before it."
            row[FAULT] = self._fault(post, index, "id", reason, kept=False)
        usable = digest is not None and row[FAULT] is None
        row[WANTS_CAPTION] = usable and self.keys.caption is not None and not post.get("caption")
        row[WANTS_OBJECTS] = usable and self.keys.objects is not None and not post.get("objects")
        if row[WANTS_OBJECTS]:
            row[QUERY] = self.query(text.text, *sorted(entity.span for entity in pair))
        return row

    def _origin(self, index: int) -> tuple[int, int]:
        """The number of the post that a row is from, and of its pair of places."""
        return (index, 0) if self.origins is None else tuple(self.origins[index].tolist())

    def _fault(self, post: Mapping[str, Any], index: int, kind: str, reason: str, kept: bool) -> str:
        number, place = self._origin(index)
        if place == 0:
            identity = None if post.get("id") is None else str(post["id"])
            self.faults.append(Fault(self.split, number, identity, kind, reason, kept))
        return reason

    def _images(self, posts: list[dict[str, Any]], indices: list[int]) -> list[tuple[dict | None, str | None]]:
        """The image of each post as `datasets` stores it, and its digest; both `None` where there is none."""
        found: list[tuple[dict | None, str | None]] = [(None, None)] * len(posts)
        paths: dict[str, list[int]] = {}
        for i, post in enumerate(posts):
            try:
                content, path = self._content_or_path(post.get("image"))
            except ValueError as error:
                self._fault(post, indices[i], "image", str(error), kept=True)
                continue
            if content is not None:
                found[i] = {"bytes": content, "path": path}, digest_of(content)
            elif path is not None:
                paths.setdefault(path, []).append(i)
        for path, digest in self._digests(paths).items():
            for i in paths[path]:
                if isinstance(digest, str):
                    found[i] = {"bytes": None, "path": path}, digest
                else:
                    self._fault(posts[i], indices[i], "image", str(digest), kept=True)
        return found

    def _content_or_path(self, image: Any) -> tuple[bytes | None, str | None]:
        if image is None or image == "":
            return None, None
        if isinstance(image, bytes):
            image = {"bytes": image}
        if isinstance(image, str):
            image = {"path": image}
        if not isinstance(image, Mapping):
            raise ValueError(f"`image` is of type {type(image).__name__}; expected a path or the bytes of a file.")
        content, path = image.get("bytes"), image.get("path")
        if content is not None:
            if not content:
                raise ValueError("the image has no bytes.")
            return content, path
        if not path:
            return None, None
        if "://" in path:
            raise ValueError(f"{path!r} is not the path of a file; URLs are not fetched.")
        full = self.folder / path
        if self.root is not None and not full.resolve().is_relative_to(self.root):
            raise ValueError(f"{path} leads outside of the image root {self.root}.")
        return None, str(full)

    def _digests(self, paths: Iterable[str]) -> dict[str, str | Exception]:
        """Of each file, read only if it has changed since it was read last."""
        known, found, new = self.results.known_files(paths), {}, []
        for path in paths:
            try:
                status = os.stat(path)
                if not status.st_size:
                    raise ValueError(f"{path} is empty.")
            except FileNotFoundError:
                found[path] = ValueError(f"{path}: there is no such file.")
            except (OSError, ValueError) as error:
                found[path] = ValueError(str(error))
            else:
                state = status.st_size, status.st_mtime_ns
                if known.get(path, ())[:2] == state:
                    found[path] = known[path][2]
                else:
                    new.append((path, *state))
        with ThreadPoolExecutor(4) as pool:
            digests = list(pool.map(_digest_or_fault, [path for path, *_ in new]))
        found |= {path: digest for (path, *_), digest in zip(new, digests)}
        self.results.remember_files((*row, digest) for row, digest in zip(new, digests) if isinstance(digest, str))
        return found


def kind_of_objects(rows: Dataset) -> str | None:
    """Of objects that are cells of JSON, or paths: `"boxes"` or `"paths"`, by the first post that has some."""
    feature = rows.features.get("objects")
    are_cells = isinstance(feature, Value) and feature.dtype in ("string", "large_string")
    if not are_cells and not (isinstance(feature, List) and isinstance(feature.feature, Value)):
        return None
    for number, row in enumerate(rows.select_columns(["objects"])):
        try:
            parts = parsed_cell(row["objects"], f"row {number}")
        except ValueError:
            continue
        if parts:
            return "paths" if isinstance(parts[0], str) else "boxes"
    return "boxes"


def parsed_cell(cell: Any, where: str) -> list | None:
    """The objects of a post, which may be a cell of JSON; `None` where there is nothing."""
    if is_missing(cell):
        return None
    if isinstance(cell, str):
        try:
            cell = json.loads(cell)
        except ValueError as error:
            raise ValueError(
                f"{where}: `objects` is {cell[:80]!r}; expected JSON, such as [[0, 0, 20, 40]] ({error})."
            ) from None
    if not isinstance(cell, list | None):
        raise ValueError(f"{where}: `objects` is {cell!r:.80}; expected a list of boxes or paths.")
    return cell


def _query(nlp: Callable | None, text: str, *entities: tuple[int, int]) -> str:
    return json.dumps(queries_for(text, entities, nlp), ensure_ascii=False)


def _digest_or_fault(path: str) -> str | Exception:
    try:
        return digest_of(path)
    except OSError as error:
        return ValueError(str(error))

"""Posts of one's own: files of them, and their images."""

import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from datasets import Dataset, DatasetDict, Features, Image, List, config, load_dataset, load_from_disk

from ..processing.post_keys import without_nan
from .json_rows import Parsed, json_rows
from .mnre import load_mnre
from .post_folders import check_separator, split_files, with_images_below

READERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
COMPRESSED = ".gz"
NAN = re.compile(rb"[:,[]\s*NaN\b")
_FORMATS_OF_TABLES = ("pandas", "arrow", "polars")


def read_table(path: str | Path, objects: str = "none", cache_dir: str | Path | None = None) -> DatasetDict:
    r"""
    Reads posts as they are.

    Args:
        path: A JSON, CSV or Parquet file, the first two maybe compressed (`.gz`); a folder of splits or an imagefolder
            of one of these kinds, see `split_files`; a folder made by `prepare` or `save_to_disk`; or an MNRE folder.
            JSON is one object per line, an array of objects, or one object.
        objects: See `load_mnre`.
        cache_dir: Where `datasets` keeps what it has read.

    Returns:
        `DatasetDict`; a single file is its `train`.

    Raises:
        ValueError: Nothing of the kind is there, or a file can't be read; the message names it.
    """
    path = Path(path)
    for folder in (path, path / "dataset"):
        if (folder / "dataset_dict.json").is_file():
            return load_from_disk(str(folder))
    if (path / "state.json").is_file():
        return DatasetDict(train=load_from_disk(str(path)))
    if (path / "txt").is_dir():
        return load_mnre(path, objects=objects)
    files = {"train": [path]} if path.is_file() else find_splits(path)
    kinds = {READERS.get(format_of(file)) for shards in files.values() for file in shards}
    if not files or len(kinds) > 1 or None in kinds:
        raise ValueError(
            f"{path}: expected a .jsonl, .csv or .parquet file; a folder with train, validation and test files of one "
            "of these kinds, or metadata.jsonl beside images; one made by `save_to_disk`, or one in MNRE's layout."
        )
    every = [file for shards in files.values() for file in shards]
    if empty := [file for file in every if not file.stat().st_size]:
        raise ValueError(f"{empty[0]} is empty; expected posts.")
    kind = kinds.pop()
    # pandas would take the relation `None`, and an entity called NA, for cells that are empty.
    options = {"keep_default_na": False, "na_values": [""]} if kind == "csv" else {}
    prefixes = {split: shards[0].parent.relative_to(path) for split, shards in files.items() if path.is_dir()}
    if kind == "json":
        kept = Path(cache_dir or config.HF_DATASETS_CACHE) / "json_lines"
        files = {split: [_as_json_lines(file, kept) for file in shards] for split, shards in files.items()}
    try:
        data_files = {split: [str(file) for file in shards] for split, shards in files.items()}
        found = load_dataset(kind, data_files=data_files, cache_dir=cache_dir, **options)
    except Exception as error:  # builders raise whatever the parsers do, wrapped
        cause = error.__cause__ or error
        reason = f"can't be read: {cause!r}"
        if isinstance(cause, UnicodeDecodeError):
            reason = f"is in another encoding than UTF-8 ({cause.reason}); save it in that one."
        raise ValueError(f"{', '.join(map(str, every))} {reason}") from error
    for split, rows in found.items():
        if kind == "csv":
            check_separator(files[split][0], rows.column_names)
        found[split] = with_images_below(rows, prefixes.get(split, Path()))
    return found


def format_of(path: Path) -> str:
    """The suffix that says what a file is, in lower case; `".jsonl"` for `posts.jsonl.gz`, which is compressed."""
    suffix = path.suffix.lower()
    packed = Path(path.stem).suffix.lower() if suffix == COMPRESSED else None
    return packed if packed in READERS and packed != ".parquet" else suffix


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file as bytes, unpacked if its name says that it is compressed."""
    with gzip.open(path) if path.suffix.lower() == COMPRESSED else path.open("rb") as file:
        try:
            yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} is damaged, or was not compressed with gzip: {error}.") from error


def _as_json_lines(path: Path, folder: Path) -> Path:
    """
    A file of JSON Lines with the posts of one: itself, if that is what it is. `datasets` would read an array at once
    into memory, knows no NaN, and takes an object that wraps the posts for a post.
    """
    with opened(path) as file:
        first = next(json_rows(file, str(path)), (None, None))[1]
    if first is None:
        raise ValueError(f"{path} is empty; expected posts.")
    if not isinstance(first, Parsed) and not _has_nan(path):
        return path
    status = path.stat()
    name = hashlib.sha256(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:32]
    made = folder / f"{name}.jsonl"
    if made.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    part = made.with_name(f"{name}.{os.getpid()}")
    try:
        with opened(path) as file, part.open("w", encoding="utf-8", errors="surrogateescape") as lines:
            for where, row in json_rows(file, str(path)):
                try:
                    row = row.value if isinstance(row, Parsed) else json.loads(row)
                except ValueError as error:
                    raise ValueError(f"{where} can't be read: {error}") from None
                if not isinstance(row, dict):
                    raise ValueError(f"{where}: expected an object with text, head and tail, found {row!r:.80}.")
                lines.write(json.dumps(without_nan(row), ensure_ascii=False) + "\n")
        part.replace(made)
    finally:
        part.unlink(missing_ok=True)
    return made


def _has_nan(path: Path) -> bool:
    """Whether NaN may stand somewhere in JSON Lines."""
    with opened(path) as file:
        return any(b"NaN" in line and NAN.search(line) for line in file)


def find_splits(folder: Path) -> dict[str, list[Path]]:
    """The files of each split, see `split_files`; none in a folder that has no posts."""
    near = (file for pattern in ("*", "*/*") for file in folder.glob(pattern) if file.is_file())
    return split_files(folder, sorted(file for file in near if format_of(file) in READERS))


def undecoded(dataset):
    """
    Leaves images to the collator, which decodes each distinct image of a batch once, in the dataloader workers.

    Args:
        dataset: Of `datasets`, or a dictionary of splits. What declares no features, such as a stream that was mapped,
            a list or a dataset of torch, has no images that are decoded when they are read, and is returned as it is.
            A dataset whose rows are tables (`with_format("pandas")`, …) gets rows that are mappings.
    """
    if isinstance(dataset, Mapping):
        return type(dataset)({split: undecoded(rows) for split, rows in dataset.items()})
    if getattr(dataset, "format", {}).get("type") in _FORMATS_OF_TABLES:
        dataset = dataset.with_format(None, columns=dataset.format["columns"])
    features = getattr(dataset, "features", None)
    for name, feature in features.items() if isinstance(features, Features) else ():
        if isinstance(feature, Image) and feature.decode:
            dataset = dataset.cast_column(name, Image(decode=False))
        elif isinstance(feature, List) and isinstance(feature.feature, Image) and feature.feature.decode:
            dataset = dataset.cast_column(name, List(Image(decode=False)))
    return dataset


def digest_of(image: bytes | str | Path) -> str:
    """Names an image by the content of its file, given as bytes or as a path."""
    content = image if isinstance(image, bytes) else Path(image).read_bytes()
    return hashlib.sha256(content).hexdigest()[:32]


def texts_of(dataset: Dataset) -> list[str]:
    """The text of every row; nothing else of it is read."""
    columns = [name for name in ("words", "text") if name in dataset.column_names]
    rows = dataset.select_columns(columns)
    return [row["text"] if row.get("words") is None else " ".join(row["words"]) for row in rows]

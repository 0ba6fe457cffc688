"""Reads the rows of a JSON, CSV or Parquet file at constant memory, before anything is known about their content."""

import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..processing.invalid_post import InvalidPost
from .csv_rows import CsvRow, csv_rows
from .json_rows import Parsed, json_rows

JSON, CSV, PARQUET = (".jsonl", ".json"), (".csv",), (".parquet",)
# The builder of `datasets` for each suffix.
BUILDERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
COMPRESSED = ".gz"
STANDARD_INPUT = "-"
PARQUET_BATCH = 256  # rows

# A line of JSON Lines, an item of a JSON array, a row of CSV or Parquet, or the error in its place.
Row = bytes | Parsed | CsvRow | dict[str, Any] | InvalidPost


def read_rows(path: Path) -> Iterator[tuple[str, Row]]:
    r"""
    Reads the rows of one file one by one.

    Args:
        path: A `.jsonl`, `.json`, `.csv` or `.parquet` file, of which all but the last may be compressed
            (`.jsonl.gz`); or `"-"`, JSON on the standard input.

    Yields:
        The name of the row in error messages, and its content.

    Raises:
        ValueError: The file has another format, is damaged, or can't be read any further.
    """
    if str(path) == STANDARD_INPUT:
        yield from json_rows(sys.stdin.buffer, "standard input")
        return
    suffix = format_of(path)
    if suffix in PARQUET:
        yield from _parquet_rows(path)
    elif suffix in JSON:
        with open_binary(path) as file:
            yield from json_rows(file, str(path))
    elif suffix in CSV:
        with open_binary(path) as file:
            yield from csv_rows(file, str(path))
    else:
        raise ValueError(
            f"{path}: expected a .jsonl, .csv or .parquet file, or a folder made by `tgdi prepare`. (.json may be "
            "JSON Lines or an array; .jsonl, .json and .csv may be compressed, .gz.)"
        )


def format_of(path: Path) -> str:
    """The suffix that names the format of a file, in lower case; `".jsonl"` for the compressed `posts.jsonl.gz`."""
    suffix = path.suffix.lower()
    if suffix == COMPRESSED:
        inner = Path(path.stem).suffix.lower()
        return inner if inner in JSON + CSV else suffix
    return suffix


@contextmanager
def open_binary(path: Path) -> Iterator[io.BufferedReader | gzip.GzipFile]:
    """Opens a file as bytes, decompressed if its name ends in `.gz`."""
    with gzip.open(path) if path.suffix.lower() == COMPRESSED else path.open("rb") as file:
        try:
            yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} is damaged, or was not compressed with gzip: {error}.") from error


def _parquet_rows(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow
    from pyarrow import parquet

    try:
        # Without a buffer size the reader holds a whole row group in memory, which may be most of the file.
        file = parquet.ParquetFile(path, buffer_size=2**20, pre_buffer=False)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"{path} can't be read as Parquet: {error}") from error
    with file:
        rows = (row for batch in file.iter_batches(PARQUET_BATCH) for row in batch.to_pylist())
        for number, row in enumerate(rows):
            yield f"{path}, row {number}", row

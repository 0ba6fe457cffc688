"""Reads the rows of one JSON, CSV or Parquet file at constant memory."""

import gzip
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from .csv_rows import csv_rows
from .json_rows import json_rows

# The builder of `datasets` that reads a kind of file, by suffix.
KINDS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
JSON_LINES, CSV, PARQUET = (".jsonl", ".json"), (".csv",), (".parquet",)
COMPRESSED = ".gz"
STANDARD_INPUT = "-"
ROWS_AT_A_TIME = 256  # of a Parquet file


def read_rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Name and content of each row: a mapping of cells, or JSON, parsed or as the bytes of a line."""
    if str(path) == STANDARD_INPUT:
        yield from json_rows(sys.stdin.buffer, "standard input")
        return
    suffix = format_of(path)
    if suffix in JSON_LINES:
        with opened(path) as file:
            yield from json_rows(file, str(path))
    elif suffix in CSV:
        with opened(path) as file:
            yield from csv_rows(file, str(path))
    elif suffix in PARQUET:
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        try:  # without a limit the reader holds a whole row group, which may be most of the file
            opened_table = parquet.ParquetFile(path, buffer_size=2**20, pre_buffer=False)
        except arrow.ArrowInvalid as error:
            raise ValueError(f"{path} can't be read as Parquet: {error}") from error
        with opened_table as file:
            rows = (row for batch in file.iter_batches(ROWS_AT_A_TIME) for row in batch.to_pylist())
            for number, row in enumerate(rows):
                yield f"{path}, row {number}", row
    else:
        raise ValueError(
            f"{path}: expected a .jsonl, .csv or .parquet file, or a folder that `tgdi prepare` made. (.json may be "
            "JSON Lines or an array; .jsonl, .json and .csv may be compressed, .gz.)"
        )


def format_of(path: Path) -> str:
    """The suffix that says what a file is, in lower case; `".jsonl"` for `posts.jsonl.gz`, which is compressed."""
    suffix = path.suffix.lower()
    packed = Path(path.stem).suffix.lower() if suffix == COMPRESSED else None
    return packed if packed in KINDS and packed != ".parquet" else suffix


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """A file as bytes, unpacked if its name says that it is compressed."""
    with gzip.open(path) if path.suffix.lower() == COMPRESSED else path.open("rb") as file:
        try:
            yield file
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path} is damaged, or was not compressed with gzip: {error}.") from error

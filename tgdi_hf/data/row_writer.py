"""Writes rows to a JSON Lines, CSV or Parquet file in parts, so that an interrupted run can be resumed."""

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .row_reader import CSV, JSON, PARQUET

if TYPE_CHECKING:
    import pyarrow

START_AGAIN = "Delete it and the .journal beside it to start again."


def check_output(path: Path, *further: str) -> None:
    """Raises `ValueError` if the suffix of a file name is neither a format that can be written nor in `further`."""
    formats = (".jsonl", *CSV, *PARQUET, *further)
    if path.suffix.lower() not in (*JSON, *formats):
        raise ValueError(f"{path}: expected a name that ends in {', '.join(formats[:-1])} or {formats[-1]}.")


class RowWriter:
    r"""
    Writes rows to a `.jsonl`, `.csv` or `.parquet` file, part by part. After each part the file on disk is consistent,
    and `position` says how far it is written.

    The parts of a Parquet file are separate files in a folder beside it until `finish` joins them, because a Parquet
    file is unreadable before its end is written.

    Args:
        path: The output file; until it is finished, its name has the suffix `.part`.
        columns: Name and type (`str`, `float`, `int`) of the columns of CSV and Parquet. Other keys of a row are
            dropped there; lists and mappings become JSON.
        position: Resume here, and discard what was written after it: bytes, or for Parquet the number of parts.
        published: Whether an interrupted run may have called `finish` already.

    Raises:
        ValueError: The name has another suffix, or the unfinished file is shorter than `position`.
    """

    def __init__(self, path: Path, columns: Mapping[str, type], position: int = 0, published: bool = False):
        self.path, self.columns, self.position = path, columns, position
        self.part = path.with_name(path.name + ".part")
        self.suffix = path.suffix.lower()
        check_output(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.suffix in PARQUET:
            self._resume_parts()
        else:
            self._resume_file(published)
        if self.suffix in CSV and not position:
            self._append(_csv_lines([list(columns)]))

    def _resume_parts(self) -> None:
        self.part.mkdir(exist_ok=True)
        for number in range(self.position):
            if not self._part_file(number).is_file():
                raise ValueError(f"Cannot resume: {self._part_file(number)} is missing. {START_AGAIN}")
        for file in self.part.glob("*.parquet"):
            if int(file.stem) >= self.position:
                file.unlink()

    def _resume_file(self, published: bool) -> None:
        if published and self.position and not self.part.exists() and self.path.exists():
            self.path.replace(self.part)
        size = self.part.stat().st_size if self.part.exists() else 0
        if size < self.position:
            raise ValueError(
                f"Cannot resume: {self.part} has {size} bytes; expected {self.position} or more. {START_AGAIN}"
            )
        with self.part.open("ab") as file:
            file.truncate(self.position)

    def write(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Appends rows, flushes them to disk, and returns the new position."""
        if self.suffix in PARQUET:
            self._write_part(rows)
        elif self.suffix in CSV:
            self._append(_csv_lines([[_cell(row.get(name)) for name in self.columns] for row in rows]))
        else:
            self._append("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return self.position

    def _append(self, text: str) -> None:
        with self.part.open("ab") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
            self.position = file.tell()

    def _write_part(self, rows: Sequence[Mapping[str, Any]]) -> None:
        from pyarrow import parquet

        file = self._part_file(self.position)
        with file.with_suffix(".new").open("wb") as new:
            parquet.write_table(table_of(rows, self.columns), new)
            new.flush()
            os.fsync(new.fileno())
        file.with_suffix(".new").replace(file)
        self.position += 1

    def _part_file(self, number: int) -> Path:
        return self.part / f"{number:08}.parquet"

    def finish(self) -> None:
        """Gives the file its final name. The parts of a Parquet file are kept until `discard`."""
        if self.suffix not in PARQUET:
            self.part.replace(self.path)
            return
        from pyarrow import parquet

        files = sorted(self.part.glob("*.parquet"))
        if not files:
            self._write_part([])
            files = sorted(self.part.glob("*.parquet"))
        joined = self.part / "joined"
        with parquet.ParquetWriter(joined, parquet.read_schema(files[0])) as writer:
            for file in files:
                writer.write_table(parquet.read_table(file))
        joined.replace(self.path)

    def discard(self) -> None:
        """Deletes the unfinished file, or the parts of a Parquet file."""
        if self.part.is_dir():
            for file in self.part.iterdir():
                file.unlink()
            self.part.rmdir()
        else:
            self.part.unlink(missing_ok=True)


def table_of(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, type]) -> "pyarrow.Table":
    r"""
    Converts rows to a table whose columns and types do not depend on the rows.

    Args:
        rows: The rows; keys that are not in `columns` are dropped.
        columns: Name and type (`str`, `float`, `int`) of the columns. Lists and mappings become JSON.
    """
    import pyarrow

    types = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in columns.items()])
    typed = [{name: _typed(row.get(name), kind) for name, kind in columns.items()} for row in rows]
    return pyarrow.Table.from_pylist(typed, schema)


def _csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _cell(value: Any) -> Any:
    """Lists and mappings as JSON, other values unchanged."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _typed(value: Any, kind: type) -> Any:
    value = _cell(value)
    if value is None:
        return None
    if kind is str:
        return str(value).encode("utf-8", "backslashreplace").decode()
    return kind(value)

"""Writes rows to JSON Lines, CSV or Parquet files that a killed process can resume."""

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .row_reader import CSV, JSON_LINES, PARQUET

if TYPE_CHECKING:
    import pyarrow

ANEW = "Delete it and the .journal beside it to begin anew."


def check_output(path: Path, *further: str) -> None:
    """Raises ValueError for the name of a file that can't be written, by its suffix; `further` ones are allowed."""
    kinds = (".jsonl", *CSV, *PARQUET, *further)
    if path.suffix.lower() not in (*JSON_LINES, *kinds):
        raise ValueError(f"{path}: expected a name that ends in {', '.join(kinds[:-1])} or {kinds[-1]}.")


class RowWriter:
    r"""
    Writes rows to a `.jsonl`, `.csv` or `.parquet` file, part by part. Between two parts the file on disk is
    consistent, and `position` says how far it goes.

    Parts of a Parquet file are files of their own in a folder beside it until `finish` joins them, because such a file
    is of no use before its end is written.

    Args:
        path: The file that is to come; what is not finished has the suffix `.part`.
        columns: Name and type (`str`, `float`, `int`) of the columns of CSV and Parquet. Other values of a row are
            left out there; lists and mappings become JSON.
        position: Go on from here, and forget what comes after.
        published: Whether `finish` may have been called already, though nobody took note.
    """

    def __init__(self, path: Path, columns: Mapping[str, type], position: int = 0, published: bool = False):
        self.path, self.columns, self.position = path, columns, position
        self.part = path.with_name(path.name + ".part")
        self.kind = path.suffix.lower()
        check_output(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.kind in PARQUET:
            self.part.mkdir(exist_ok=True)
            lost = [number for number in range(position) if not (self.part / f"{number:08}.parquet").is_file()]
            if lost:
                raise ValueError(f"{self.part} lacks {lost[0]:08}.parquet, so it can't be gone on with. {ANEW}")
            for file in self.part.glob("*.parquet"):
                if int(file.stem) >= position:
                    file.unlink()
            return
        if published and position and not self.part.exists() and path.exists():
            path.replace(self.part)
        size = self.part.stat().st_size if self.part.exists() else 0
        if size < position:
            raise ValueError(f"{self.part} has {size} bytes, and had {position}; it can't be gone on with. {ANEW}")
        with self.part.open("ab") as file:
            file.truncate(position)
        if self.kind in CSV and not position:
            self._append(_csv_lines([list(columns)]))

    def write(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Adds rows, on the disk when it returns; gives the new position."""
        if self.kind in PARQUET:
            self._write_table(rows)
        elif self.kind in CSV:
            self._append(_csv_lines([[_plain(row.get(name)) for name in self.columns] for row in rows]))
        else:
            self._append("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return self.position

    def _append(self, text: str) -> None:
        with self.part.open("ab") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
            self.position = file.tell()

    def _write_table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import pyarrow.parquet as parquet

        file = self.part / f"{self.position:08}.parquet"
        with file.with_suffix(".new").open("wb") as new:
            parquet.write_table(table_of(rows, self.columns), new)
            new.flush()
            os.fsync(new.fileno())
        file.with_suffix(".new").replace(file)
        self.position += 1

    def finish(self) -> None:
        """Gives the file its name. What a Parquet file was made of stays until `discard`."""
        if self.kind not in PARQUET:
            self.part.replace(self.path)
            return
        import pyarrow.parquet as parquet

        files = sorted(self.part.glob("*.parquet"))
        if not files:
            self._write_table([])
            files = sorted(self.part.glob("*.parquet"))
        joined = self.part / "joined"
        with parquet.ParquetWriter(joined, parquet.read_schema(files[0])) as writer:
            for file in files:
                writer.write_table(parquet.read_table(file))
        joined.replace(self.path)

    def discard(self) -> None:
        """Removes what is unfinished."""
        if self.part.is_dir():
            for file in self.part.iterdir():
                file.unlink()
            self.part.rmdir()
        else:
            self.part.unlink(missing_ok=True)


def table_of(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, type]) -> "pyarrow.Table":
    """Rows as a table whose columns and types do not depend on what is in them; lists and mappings become JSON."""
    import pyarrow as arrow

    types = {str: arrow.string(), float: arrow.float64(), int: arrow.int64()}
    schema = arrow.schema([(name, types[kind]) for name, kind in columns.items()])
    typed = [{name: _typed(row.get(name), kind) for name, kind in columns.items()} for row in rows]
    return arrow.Table.from_pylist(typed, schema)


def _csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _typed(value: Any, kind: type) -> Any:
    value = _plain(value)
    if value is None:
        return None
    if kind is str:
        return str(value).encode("utf-8", "backslashreplace").decode()
    return kind(value)

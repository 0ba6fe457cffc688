"""Reads CSV files row by row, checks encoding, separator and quotes, and names the line in every error."""

import codecs
import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from ..processing.invalid_post import InvalidPost

if TYPE_CHECKING:
    from _csv import Reader

CsvRow = dict[str, str | None]

LONGEST_CELL = 2**20  # characters; without a limit an unclosed quote would read the rest of the file into one cell
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def csv_rows(file: io.BufferedReader | gzip.GzipFile, name: str) -> Iterator[tuple[str, CsvRow | InvalidPost]]:
    r"""
    Reads the rows of a CSV file one by one, at constant memory.

    Args:
        file: Comma-separated values in UTF-8; the first line holds the column names.
        name: Name of the file in error messages.

    Yields:
        The name of the row in error messages (file and last line of the row), and its cells by column, `None` where a
        row is too short. A row that cannot be parsed, or has too many cells, is replaced by an `InvalidPost`.

    Raises:
        ValueError: The file is in UTF-16, uses another separator, or contains a quote that is never closed.
    """
    reader = _open(file, name)
    if columns := _columns(reader, name):
        for where, cells in _records(reader, columns, name):
            if isinstance(cells, InvalidPost):
                yield f"{name}, {where}", cells
            else:
                yield f"{name}, line {reader.line_num}", dict(zip_longest(columns, cells))


def check_csv(file: io.BufferedReader | gzip.GzipFile, name: str) -> None:
    r"""
    Refuses a CSV file with a row that cannot be parsed. `datasets` reads such rows differently, or shifts their cells
    into other columns.

    Args:
        file, name: See `csv_rows`.

    Raises:
        ValueError: A row is invalid; the message names its line. Or see `csv_rows`.
    """
    reader = _open(file, name)
    if columns := _columns(reader, name):
        for _, cells in _records(reader, columns, name):
            if isinstance(cells, InvalidPost):
                raise cells


def _open(file: io.BufferedReader | gzip.GzipFile, name: str) -> "Reader":
    csv.field_size_limit(LONGEST_CELL)
    if file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise ValueError(f"{name} is in UTF-16; expected UTF-8. Save it as UTF-8.")
    # Invalid UTF-8 becomes surrogates, so that only the row that contains it is refused.
    return csv.reader(io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline=""), strict=True)


def _columns(reader: "Reader", name: str) -> list[str]:
    """The column names in the first line; empty for an empty file."""
    try:
        columns = next(reader, [])
    except csv.Error as error:
        raise ValueError(f"{name}, line 1: {error}; expected the column names.") from None
    _check_separator(columns, name)
    return columns


def _records(
    reader: "Reader", columns: Sequence[str], name: str
) -> Iterator[tuple[str | None, list[str] | InvalidPost]]:
    """The cells of each row that is not empty; or the lines of an invalid row, and the reason."""
    width = len(columns)
    while True:
        start = reader.line_num + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            reason = str(error)
            if "unexpected end" in reason:
                raise ValueError(
                    f"{name}, line {start}: a quote opened here is never closed, so the rest of the file can't be "
                    'read. Close it, or double it ("") if it is part of the text.'
                ) from None
            if "field limit" in reason:
                reason = f"a cell of more than {LONGEST_CELL:,} characters; is a quote opened and never closed?"
            where = f"lines {start} to {reader.line_num}"
            yield where, InvalidPost(f"{name}, {where}: {reason}. Double the quotes inside a cell.")
            continue
        if cells is None:
            return
        if len(cells) > width:
            where = f"line {reader.line_num}"
            found = f"found {len(cells)} cells; expected {width}, one per column name"
            yield where, InvalidPost(f"{name}, {where}: {found}.")
        elif cells:
            yield None, cells


def _check_separator(columns: Sequence[str], name: str) -> None:
    """Refuses a file whose column names are separated by something other than commas."""
    if len(columns) != 1:
        return
    for character, separator in _SEPARATORS.items():
        if character in columns[0]:
            raise ValueError(
                f"{name}, line 1: found one column, {columns[0]!r:.80}, which looks like several separated by "
                f"{separator}; expected commas. Save the file with commas."
            )

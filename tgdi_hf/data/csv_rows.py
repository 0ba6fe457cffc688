"""Reads CSV files row by row, checks encoding, separator and quotes, and names the line in every error."""

import codecs
import csv
import gzip
import io
from collections.abc import Iterator, Sequence

from ..processing.invalid_post import InvalidPost

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
    csv.field_size_limit(LONGEST_CELL)
    if file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise ValueError(f"{name} is in UTF-16; expected UTF-8. Save it as UTF-8.")
    # Invalid UTF-8 becomes surrogates, so that only the row that contains it is refused.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    rows = csv.DictReader(text, strict=True)
    try:
        columns = rows.fieldnames  # reads the first line
    except csv.Error as error:
        raise ValueError(f"{name}, line 1: {error}; expected the column names.") from None
    if not columns:
        return
    _check_separator(columns, name)
    while True:
        start = rows.reader.line_num + 1
        try:
            row = next(rows, None)
        except csv.Error as error:
            reason = str(error)
            if "unexpected end" in reason:
                raise ValueError(
                    f"{name}, line {start}: a quote opened here is never closed, so the rest of the file can't be "
                    'read. Close it, or double it ("") if it is part of the text.'
                ) from None
            if "field limit" in reason:
                reason = f"a cell of more than {LONGEST_CELL:,} characters; is a quote opened and never closed?"
            lines = f"{name}, lines {start} to {rows.reader.line_num}"
            yield lines, InvalidPost(f"{lines}: {reason}. Double the quotes inside a cell.")
            continue
        if row is None:
            return
        line = f"{name}, line {rows.reader.line_num}"
        if extra := row.get(None):
            found = len(columns) + len(extra)
            yield line, InvalidPost(f"{line}: found {found} cells; expected {len(columns)}, one per column name.")
        else:
            yield line, row


def check_csv(file: io.BufferedReader | gzip.GzipFile, name: str) -> None:
    r"""
    Refuses a CSV file with a row that cannot be parsed. `datasets` reads such rows differently, or shifts their cells
    into other columns.

    Args:
        file, name: See `csv_rows`.

    Raises:
        ValueError: A row is invalid; the message names its line. Or see `csv_rows`.
    """
    for _, row in csv_rows(file, name):
        if isinstance(row, InvalidPost):
            raise row


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

"""CSV files as rows: encoding, separator, quotes and cells without end are checked, and errors name the line."""

import codecs
import csv
import gzip
import io
from collections.abc import Iterator, Sequence
from typing import Any

from ..processing.invalid_post import InvalidPost

LONGEST_CELL = 2**20  # characters; without a limit an unclosed quote would read the rest of the file into one cell
_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def csv_rows(file: io.BufferedReader | gzip.GzipFile, name: str) -> Iterator[tuple[str, Any]]:
    r"""
    Reads the rows of a CSV file one after the other, at constant memory.

    Args:
        file: Comma-separated values in UTF-8, the first row of which has the names of the columns.
        name: Of the file, in messages.

    Yields:
        The name of a row in messages (the line on which it ends), and a mapping from columns to cells. Cells that a
        short row lacks are `None`; those that a long row has too many are a list under the key `None`. A row that
        cannot be parsed is an `InvalidPost` in its place.

    Raises:
        ValueError: The file is in UTF-16, has another separator than commas, or has a quote that is never closed.
    """
    csv.field_size_limit(LONGEST_CELL)
    if file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        raise ValueError(f"{name} is in UTF-16; expected UTF-8. Save it in that encoding.")
    # Bytes that are not UTF-8 go on as surrogates, and the row that has them is refused.
    lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    rows = csv.DictReader(lines, strict=True)
    try:
        names = rows.fieldnames  # reads the first line
    except csv.Error as error:
        raise ValueError(f"{name}, line 1: {error}; expected the names of the columns.") from None
    if not names:
        return
    check_separator(name, names)
    while True:
        before = rows.reader.line_num
        try:
            row = next(rows, None)
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise ValueError(
                    f"{name}, line {before + 1}: a quote that is opened here is never closed, so the rest of the file "
                    'can\'t be read. Close it, or double it ("") where it is meant as a quote.'
                ) from None
            if "field limit" in str(error):
                error = f"a cell of more than {LONGEST_CELL:,} characters; is a quote opened and never closed?"
            lines = f"lines {before + 1} to {rows.reader.line_num}"
            yield f"{name}, {lines}", InvalidPost(f"{name}, {lines}: {error}. Quotes inside of a cell are doubled.")
            continue
        if row is None:
            return
        yield f"{name}, line {rows.reader.line_num}", row


def check_separator(name: str, columns: Sequence[str]) -> None:
    r"""
    Refuses a CSV file whose columns something else than commas separates: it seems to have one column.

    Args:
        name: Of the file, in messages.
        columns: Of the columns, as they were read.

    Raises:
        ValueError: It is so; the message names what separates them.
    """
    if len(columns) != 1:
        return
    for character, separator in _SEPARATORS.items():
        if character in columns[0]:
            raise ValueError(
                f"{name}, line 1: there is one column, {columns[0]!r:.80}, which seems to be several that {separator} "
                "separate; expected commas. Write it anew with commas."
            )

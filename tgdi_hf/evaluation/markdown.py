"""Cells and tables of Markdown, in percent."""

from collections.abc import Iterable, Sequence


def table_row(cells: Iterable[str]) -> str:
    """One line of a table."""
    return "|" + "".join(f" {cell} |" if cell else " |" for cell in cells)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a table."""
    return [table_row(header), "|" + "---|" * len(header), *map(table_row, rows)]


def percent(value: float | None, low: float | None = None, high: float | None = None, form: str = ".1f") -> str:
    """A share in percent, with its interval if that has bounds; a dash for an undefined value."""
    if value is None:
        return "–"
    interval = "" if low is None or high is None else f" ({100 * low:{form}} to {100 * high:{form}})"
    return f"{100 * value:{form}}{interval}"

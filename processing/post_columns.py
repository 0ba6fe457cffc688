"""The columns of a batch, whatever holds them: lists, tuples, arrays, tensors, pandas, Arrow or `datasets` columns."""

from collections.abc import Iterable, Mapping, Set
from typing import Any


def text_column(values: Any) -> list:
    r"""
    Args:
        values: The texts of a batch, or lists of words, in anything that can be iterated over.

    Returns:
        A list of at least one.

    Raises:
        ValueError: `values` is no column, or is empty.
    """
    if isinstance(values, bytes | bytearray | Mapping | Set) or not _is_iterable(values):
        raise ValueError(f"`text` is {values!r:.80}; expected a string, or a list of strings or of lists of words.")
    values = _as_list(values)
    if not values:
        raise ValueError("`text` is an empty list; expected at least one post.")
    return values


def column(name: str, values: Any, rows: int) -> list:
    r"""
    Args:
        name: Of the column.
        values: One value per post; `None` for a column that is missing.
        rows: How many posts there are.

    Returns:
        A list of `rows` values. What pandas calls missing (NaN, NA) is `None`.

    Raises:
        ValueError: `values` is no column, or has another length.
    """
    if values is None:
        return [None] * rows
    is_column = not isinstance(values, str | bytes | bytearray | Mapping | Set) and hasattr(values, "__len__")
    is_column = is_column and getattr(values, "ndim", 1) != 0
    if is_column and len(values) == rows:
        return _as_list(values)
    found = len(values) if is_column else f"{values!r:.80}"
    raise ValueError(
        f"`text` has {rows} rows, `{name}` {found}; expected one value (or `None`) a row. One "
        "post given as words is `text=[words], head=[span], tail=[span]`."
    )


def _as_list(values: Any) -> list:
    if hasattr(values, "isna"):  # pandas
        return [None if missing else value for value, missing in zip(values, values.isna())]
    if hasattr(values, "to_pylist"):  # Arrow
        return values.to_pylist()
    return list(values)


def _is_iterable(values: Any) -> bool:
    # Arrays without a dimension have `__iter__` and raise.
    return isinstance(values, Iterable) and getattr(values, "ndim", 1) != 0

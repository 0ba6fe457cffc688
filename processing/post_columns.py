"""The columns of a batch: lists, tuples, arrays, tensors, or columns of pandas, Arrow or `datasets`."""

from collections.abc import Iterable, Mapping, Set
from typing import Any


def text_column(values: Any) -> list:
    r"""
    Args:
        values: An iterable of texts, or of lists of words.

    Returns:
        A list of at least one text.

    Raises:
        ValueError: `values` is not a column, or is empty.
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
        name: The name of the column.
        values: One value per post; `None` for a missing column.
        rows: The number of posts.

    Returns:
        A list of `rows` values. Missing values of pandas (NaN, NA) become `None`.

    Raises:
        ValueError: `values` is not a column, or has another length.
    """
    if values is None:
        return [None] * rows
    is_column = not isinstance(values, str | bytes | bytearray | Mapping | Set) and hasattr(values, "__len__")
    is_column = is_column and getattr(values, "ndim", 1) != 0
    if is_column and len(values) == rows:
        return _as_list(values)
    found = len(values) if is_column else f"{values!r:.80}"
    raise ValueError(
        f"`text` has {rows} rows, `{name}` {found}; expected one value (or `None`) per row. Pass a "
        "single post in words as `text=[words], head=[span], tail=[span]`."
    )


def _as_list(values: Any) -> list:
    if hasattr(values, "isna"):  # pandas
        return [None if missing else value for value, missing in zip(values, values.isna())]
    if hasattr(values, "to_pylist"):  # Arrow
        return values.to_pylist()
    return list(values)


def _is_iterable(values: Any) -> bool:
    # Zero-dimensional arrays have `__iter__`, which raises an error.
    return isinstance(values, Iterable) and getattr(values, "ndim", 1) != 0

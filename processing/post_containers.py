"""Hints for rows and tables of other libraries that are passed instead of posts."""

from collections.abc import Mapping
from typing import Any

# Keyed by class names, so that none of these libraries is imported.
_POSTS_OF = {
    "DataFrame": "its rows as mappings: `frame.to_dict('records')`, in polars `frame.to_dicts()`",
    "Table": "its rows as mappings: `table.to_pylist()`",
    "RecordBatch": "its rows as mappings: `batch.to_pylist()`",
    "Series": "a mapping: `row.to_dict()`",
}


def as_mapping_hint(value: Any) -> str | None:
    r"""
    Args:
        value: The value passed as one post or as several posts.

    Returns:
        How to convert it to posts if it is a row or a table of a known library; otherwise `None`.
    """
    hint = _POSTS_OF.get(type(value).__name__)
    if hint is None and isinstance(value, tuple) and hasattr(value, "_asdict"):
        hint = "a mapping: `row._asdict()`"
    if hint is not None and type(value).__name__ != "tuple":
        hint += "; for a dataset in the format of that library, `dataset.with_format(None)`"
    return hint


def several_posts_hint(value: Mapping[str, Any]) -> str:
    """A hint for a mapping that is not a post but seems to contain columns of posts, or splits; empty otherwise."""
    text = value.get("text")
    if isinstance(text, list | tuple) or (hasattr(text, "__len__") and not isinstance(text, str)):
        return (
            " It seems to contain columns of several posts: pass a list of posts, `[dict(zip(columns, row)) for row "
            "in zip(*columns.values())]`; pass words as `words`."
        )
    if value and all(hasattr(rows, "column_names") for rows in value.values()):
        return f" It seems to contain the splits of a dataset: pass one, such as `dataset[{next(iter(value))!r}]`."
    return ""

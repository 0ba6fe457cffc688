"""What people hand over in place of posts, and how posts are made of it."""

from collections.abc import Mapping
from typing import Any

# By the name of the class, so that none of these libraries is imported.
_POSTS_OF = {
    "DataFrame": "its rows as mappings: `frame.to_dict('records')`, in polars `frame.to_dicts()`",
    "Table": "its rows as mappings: `table.to_pylist()`",
    "RecordBatch": "its rows as mappings: `batch.to_pylist()`",
    "Series": "a mapping: `row.to_dict()`",
}


def as_mapping_hint(value: Any) -> str | None:
    r"""
    Args:
        value: What was given as a post, or as several posts.

    Returns:
        How posts are made of it, if it is a row or a table of a known library; otherwise `None`.
    """
    hint = _POSTS_OF.get(type(value).__name__)
    if hint is None and isinstance(value, tuple) and hasattr(value, "_asdict"):
        hint = "a mapping: `row._asdict()`"
    if hint is not None and type(value).__name__ != "tuple":
        hint += "; of a dataset in the format of that library `dataset.with_format(None)`"
    return hint


def several_posts_hint(value: Mapping[str, Any]) -> str:
    """What to add to a message that a mapping is no post: that it seems to be columns of posts, or splits."""
    text = value.get("text")
    if isinstance(text, list | tuple) or (hasattr(text, "__len__") and not isinstance(text, str)):
        return (
            " It seems to have the columns of several posts: pass a list of posts, `[dict(zip(columns, row)) for row "
            "in zip(*columns.values())]`; words are given as `words`."
        )
    if value and all(hasattr(rows, "column_names") for rows in value.values()):
        return f" It seems to have the splits of a dataset: pass one, such as `dataset[{next(iter(value))!r}]`."
    return ""

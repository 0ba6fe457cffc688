"""Cells of tables as values of a post: lists written as JSON, and paths of images."""

import json
from typing import Any

from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import is_missing


def json_cell(cell: str, where: str, field: str) -> Any:
    r"""
    Parses a cell that holds JSON.

    Args:
        cell: The text of the cell.
        where: Name of the row in error messages.
        field: The key of the post, see `InvalidPost`.

    Raises:
        InvalidPost: The cell is not JSON.
    """
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        raise InvalidPost(
            f"{where}, {field}: expected JSON, such as [[0, 0, 20, 40]], found {cell[:80]!r}.", field
        ) from None


def objects_cell(cell: Any, where: str) -> list | None:
    r"""
    The objects of a post, given as a list or as a cell that holds JSON.

    Returns:
        The list, or `None` for a missing value.

    Raises:
        InvalidPost: The cell is not JSON, or not a list.
    """
    if is_missing(cell):
        return None
    if isinstance(cell, str):
        cell = json_cell(cell, where, "objects")
    if not isinstance(cell, list | None):
        raise InvalidPost(f"{where}: `objects` is {cell!r:.80}; expected a list of boxes or paths.", "objects")
    return cell


def is_url(path: str) -> bool:
    """Whether a string that should be the path of an image is a URL. URLs are not fetched."""
    return "://" in path

"""Faults of posts: what could not be used as it is, and why."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Fault:
    r"""
    A post that could not be used as it is.

    Args:
        split, row, id: The post; `row` is its index in the split.
        kind: The field that could not be used: `"text"`, `"id"`, `"image"`, `"caption"` or `"objects"`.
        reason: What was expected and what was found.
        kept: Whether the post is in the output. A post without a usable text is left out; a post without a usable
            image is kept as a post without an image.
    """

    split: str
    row: int
    id: str | None
    kind: str
    reason: str
    kept: bool

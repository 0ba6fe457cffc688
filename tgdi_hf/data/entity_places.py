"""One row for every place where head and tail of a post are."""

import numpy as np
from datasets import Dataset

from ..processing.head_and_tail import head_tail_pairs
from ..processing.invalid_post import InvalidPost
from ..processing.post_text import PostText


def with_all_places(rows: Dataset) -> tuple[Dataset, np.ndarray]:
    r"""
    Repeats posts whose head or tail is given by what it is called, and is in the text more than once.

    Args:
        rows: Posts. Those that can't be used stay, once.

    Returns:
        The rows, each repeated in its place; and `(rows, 2)`: the number of the post, and that of its pair, see
        `head_tail_pairs`.
    """
    columns = [name for name in ("text", "words", "head", "tail") if name in rows.column_names]
    pairs = np.ones(len(rows), dtype=np.int64)
    for i, row in enumerate(rows.select_columns(columns)):
        try:
            pairs[i] = len(head_tail_pairs(PostText(row, f"row {i}", "all"), row.get("head"), row.get("tail")))
        except InvalidPost:
            continue
    posts = np.repeat(np.arange(len(rows)), pairs)
    origins = np.stack([posts, np.arange(len(posts)) - np.repeat(pairs.cumsum() - pairs, pairs)], axis=1)
    return (rows if len(posts) == len(rows) else rows.select(posts)), origins

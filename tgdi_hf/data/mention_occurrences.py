"""One row per occurrence of head and tail in the text of a post."""

import numpy as np
from datasets import Dataset

from ..processing.head_and_tail import head_tail_pairs
from ..processing.invalid_post import InvalidPost
from ..processing.post_text import PostText


def with_all_occurrences(rows: Dataset) -> tuple[Dataset, np.ndarray]:
    r"""
    Repeats every post whose head or tail is given as a mention with several occurrences in the text.

    Args:
        rows: The posts. An invalid post is kept once.

    Returns:
        The rows, repetitions next to each other; and `(rows, 2)`: the id of the post, and that of its pair of
        occurrences, see `head_tail_pairs`.
    """
    columns = [name for name in ("text", "words", "head", "tail") if name in rows.column_names]
    pairs = np.ones(len(rows), dtype=np.int64)
    for i, row in enumerate(rows.select_columns(columns)):
        try:
            pairs[i] = len(head_tail_pairs(PostText(row, f"row {i}", "all"), row.get("head"), row.get("tail")))
        except InvalidPost:
            continue
    posts = np.repeat(np.arange(len(rows)), pairs)
    first_of_post = np.repeat(pairs.cumsum() - pairs, pairs)
    origins = np.stack([posts, np.arange(len(posts)) - first_of_post], axis=1)
    return (rows if len(posts) == len(rows) else rows.select(posts)), origins

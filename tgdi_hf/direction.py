"""Training on both orders of every pair, so that the order itself says nothing."""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Dataset

from .mnre import NEGATIVE

# The last part of the names of relations that hold both ways, in MNRE's spelling.
SYMMETRIC = ("siblings", "couple", "neighbor", "peer", "alumi", "alternate_names")


class BothOrders(Dataset):
    r"""
    Every row of a dataset, and every row with head and tail swapped.

    MNRE lists pairs without relation in the order of the text only, and relations in the direction that they have:
    "tail first" means "some relation" in 97 % of its training rows, and a model that scores all pairs of a post goes by
    it. Here a pair without relation has none both ways, a symmetric relation holds both ways, and any other has,
    swapped, no relation. An epoch is twice as long.

    Args:
        dataset: Rows with `head`, `tail` and `label`.
        names: The relations, in the order of their ids; `None` among them.
        symmetric: Relations that hold both ways: whole names, or what comes after their last slash.

    Raises:
        ValueError: No relation is called `None`.
    """

    def __init__(self, dataset: Any, names: Sequence[str], symmetric: Collection[str] = SYMMETRIC):
        if NEGATIVE not in names:
            found = ", ".join(names)
            raise ValueError(f"No relation is called {NEGATIVE!r}, which a swapped pair needs; found {found}.")
        self.dataset = dataset
        self.negative = list(names).index(NEGATIVE)
        holds_both_ways = [name in symmetric or name.rpartition("/")[2] in symmetric for name in names]
        self.swapped_label = [i if both else self.negative for i, both in enumerate(holds_both_ways)]

    def __len__(self) -> int:
        return 2 * len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.dataset[index % len(self.dataset)]
        if index < len(self.dataset):
            return row
        return {**row, "head": row["tail"], "tail": row["head"], "label": self.swapped_label[row["label"]]}


def is_tail_first(rows: Any) -> np.ndarray:
    """`(rows,)`, of rows whose `head` and `tail` are spans: whether the tail comes before the head in the text."""
    return np.array([tail[0] < head[0] for head, tail in zip(rows["head"], rows["tail"])], dtype=np.int64)


def listed_order_weights(dataset: Any, names: Sequence[str], symmetric: Collection[str] = SYMMETRIC) -> np.ndarray:
    r"""
    What the order of head and tail says about the relation in rows as they are listed, but not in `BothOrders` of them.

    A model that was trained on both orders has probabilities for rows in both orders. Those for rows as listed follow
    by Bayes' rule, if the rows of a relation and an order look alike whether listed or swapped: multiply by how many of
    them there are as listed over how many there are in both orders. So the same model answers a benchmark in its
    published order, with these weights, and all pairs of a post, without them.

    Args:
        dataset: The training rows, as listed.
        names, symmetric: See `BothOrders`.

    Returns:
        `(2, L)`: for rows with the head first, and with the tail first; see `as_listed`.
    """
    swapped_label = np.array(BothOrders([], names, symmetric).swapped_label)
    labels, tail_first = np.array(dataset["label"][:]), is_tail_first(dataset)
    listed, swapped = np.zeros((2, len(names))), np.zeros((2, len(names)))
    np.add.at(listed, (tail_first, labels), 1)
    np.add.at(swapped, (1 - tail_first, swapped_label[labels]), 1)
    both = listed + swapped
    return np.divide(listed, both, out=np.ones_like(both), where=both > 0)


def as_listed(probabilities: np.ndarray, weights: np.ndarray, rows: Any) -> np.ndarray:
    r"""
    Args:
        probabilities: `(rows, L)`, of a model that was trained on both orders.
        weights: From `listed_order_weights`.
        rows: Those that were scored, as their dataset lists them.

    Returns:
        `(rows, L)`: the probabilities, given that rows are listed in that order.
    """
    weighted = probabilities * weights[is_tail_first(rows)]
    return weighted / weighted.sum(axis=1, keepdims=True)


__all__ = ["BothOrders", "as_listed", "is_tail_first", "listed_order_weights"]

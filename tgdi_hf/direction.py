"""Training on both orders of every pair, so that the order itself says nothing."""

from collections.abc import Collection, Sequence
from typing import Any

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
        self.holds_both_ways = [name in symmetric or name.rpartition("/")[2] in symmetric for name in names]

    def __len__(self) -> int:
        return 2 * len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.dataset[index % len(self.dataset)]
        if index < len(self.dataset):
            return row
        label = row["label"] if self.holds_both_ways[row["label"]] else self.negative
        return {**row, "head": row["tail"], "tail": row["head"], "label": label}


__all__ = ["BothOrders"]

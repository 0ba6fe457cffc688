"""Rows in every form that `make_trainer` accepts."""

import torch
from datasets import IterableDataset


class Rows(torch.utils.data.Dataset):
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


class Stream(torch.utils.data.IterableDataset):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def mapped(rows):
    """A stream that no longer declares features."""
    stream = rows.to_iterable_dataset().map(lambda row: row)
    assert stream.features is None
    return stream


KINDS = {
    "dataset": lambda rows: rows,
    "stream": lambda rows: rows.to_iterable_dataset(),
    "mapped stream": mapped,
    "generator": lambda rows: IterableDataset.from_generator(lambda: iter([*rows])),
    "list": lambda rows: [*rows],
    "torch dataset": lambda rows: Rows([*rows]),
    "torch stream": lambda rows: Stream([*rows]),
}

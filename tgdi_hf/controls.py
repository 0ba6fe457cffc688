"""What a claim about pictures or captions has to be held against: the same rows without them, or with wrong ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from .posts import undecoded

CONTROLS = (
    "text-only",
    "no-image",
    "no-caption",
    "shuffled-images",
    "blank-images",
    "noise-images",
    "shuffled-captions",
)


class Controlled:
    r"""
    The rows of a dataset with what comes beside the text changed.

    - `"text-only"`: neither picture nor caption; `"no-image"`, `"no-caption"`: the one or the other is left out.
    - `"shuffled-images"`: pictures, with their objects, change places among the rows that have one; none stays with its
      own row (unless there is one only). `"shuffled-captions"`: the same of captions.
    - `"blank-images"`: every picture is grey, of one size; `"noise-images"`: noise, another in every row. Objects go.

    Args:
        dataset: Rows with `image`, `objects` and `caption`, any of which may be missing.
        control: One of the above.
        share: Of the rows that have what is changed, how many change; the others stay as they are.
        seed: Of what is drawn.

    Raises:
        ValueError: There is no such control, or `share` is not from 0 to 1.
    """

    def __init__(self, dataset: Dataset, control: str, share: float = 1.0, seed: int = 0):
        if control not in CONTROLS:
            raise ValueError(f"There is no control {control!r}; there are {', '.join(CONTROLS)}.")
        if not 0 <= share <= 1:
            raise ValueError(f"`share` is {share}; expected a share from 0 to 1.")
        self.dataset, self.control, self.seed = undecoded(dataset), control, seed
        generator = np.random.default_rng(seed)
        rows = np.arange(len(dataset))
        if control != "text-only":  # that leaves out what is there, whatever it is
            column = "caption" if control.endswith(("caption", "captions")) else "image"
            there = [bool(value) for value in self.dataset[column]] if column in dataset.column_names else []
            rows = np.flatnonzero(there)
        self.changed = generator.choice(rows, size=round(share * len(rows)), replace=False)
        self.changed.sort()
        self.donors: Mapping[int, int] = {}
        if control.startswith("shuffled"):
            # A cycle in random order: nobody is their own neighbour.
            cycle = generator.permutation(self.changed)
            self.donors = dict(zip(cycle.tolist(), np.roll(cycle, 1).tolist()))
        self._is_changed = set(self.changed.tolist())

    @property
    def features(self):
        return self.dataset.features

    @property
    def column_names(self) -> list[str]:
        return self.dataset.column_names

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = range(len(self.dataset))[index]
        row = self.dataset[index]
        if index not in self._is_changed:
            return row
        if self.control == "text-only":
            return {**row, "image": None, "objects": None, "caption": None}
        if self.control == "no-image":
            return {**row, "image": None, "objects": None}
        if self.control == "no-caption":
            return {**row, "caption": None}
        if self.control == "shuffled-captions":
            return {**row, "caption": self.dataset[self.donors[index]]["caption"]}
        if self.control == "shuffled-images":
            donor = self.dataset[self.donors[index]]
            return {**row, "image": donor["image"], "objects": donor.get("objects")}
        pixels = np.full((224, 224, 3), 128, dtype=np.uint8)
        if self.control == "noise-images":
            pixels = np.random.default_rng([self.seed, index]).integers(0, 256, (224, 224, 3), dtype=np.uint8)
        return {**row, "image": pixels, "objects": None}


__all__ = ["CONTROLS", "Controlled"]

"""What a claim about images or captions has to be held against: the same rows without them, or with wrong ones."""

import operator
from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from .dataset_columns import undecoded
from .image_identity import digest_of

CONTROLS = (
    "text-only",
    "no-image",
    "no-caption",
    "shuffled-images",
    "blank-images",
    "noise-images",
    "shuffled-captions",
)


class PerturbedDataset:
    r"""
    The rows of a dataset with what comes beside the text changed.

    - `"text-only"`: neither image nor caption; `"no-image"`, `"no-caption"`: the one or the other is left out.
    - `"shuffled-images"`: rows with one image all get that of another post, with the objects on it; no row keeps its
      own. `"shuffled-captions"`: the same with captions.
    - `"blank-images"`: every image is grey, of one size; `"noise-images"`: noise, another in every row. Objects go.

    A row whose image is missing but that has crops as objects has these for its image.

    Args:
        dataset: Rows with `image`, `objects` and `caption`, any of which may be missing.
        control: One of the above.
        share: Of the rows that have what is changed, how many change; the others stay as they are.
        seed: Of what is drawn.

    Attributes:
        changed: `(rows,)`, the places of the rows that change.

    Raises:
        ValueError: There is no such control, `share` is not from 0 to 1, or the rows have nothing that it could change.
    """

    def __init__(self, dataset: Dataset, control: str, share: float = 1.0, seed: int = 0):
        if control not in CONTROLS:
            raise ValueError(f"There is no control {control!r}; there are {', '.join(CONTROLS)}.")
        if not 0 <= share <= 1:
            raise ValueError(f"`share` is {share}; expected a share from 0 to 1.")
        self.dataset, self.control, self.seed = undecoded(dataset), control, seed
        generator = np.random.default_rng(seed)
        keys = _keys(self.dataset, control)
        rows = np.flatnonzero([key is not None for key in keys])
        if not len(rows):
            raise ValueError(
                f"No row has what the control {control!r} would change; the columns are "
                f"{', '.join(dataset.column_names)}."
            )
        self.changed = generator.choice(rows, size=round(share * len(rows)), replace=False)
        self.changed.sort()
        self.donors: Mapping[int, int] = {}
        if control.startswith("shuffled") and len(self.changed):
            places = self.changed.tolist()
            self.donors = _donors([keys[i] for i in places], places, generator)
        self._is_changed = set(self.changed.tolist())

    def removes(self, column: str) -> bool:
        """Whether the rows that change lose their `image` or `caption`."""
        return self.control in ("text-only", f"no-{column}")

    def changes(self, column: str) -> bool:
        """Whether the rows that change have another `image` or `caption`, or none."""
        return self.control == "text-only" or column in self.control

    @property
    def features(self):
        return self.dataset.features

    @property
    def column_names(self) -> list[str]:
        return self.dataset.column_names

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = range(len(self.dataset))[operator.index(index)]
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


def _keys(dataset: Dataset, control: str) -> list[str | None]:
    """Names what every row has of that which the control changes; `None` where there is nothing."""
    if control.endswith(("caption", "captions")):
        names = ["caption"]
    else:
        names = ["image", "objects"] + ["caption"] * (control == "text-only")
    names = [name for name in names if name in dataset.column_names]
    if not names:
        return [None] * len(dataset)
    # Row by row: the images of all rows may be more than fits into memory.
    found = (next(filter(_is_something, map(row.get, names)), None) for row in dataset.select_columns(names))
    name = _key if control.startswith("shuffled") else lambda value: "something"
    return [None if value is None else name(value) for value in found]


def _is_something(value: Any) -> bool:
    # Boxes are parts of an image and nothing without it.
    return any(isinstance(part, Mapping) for part in value) if isinstance(value, list) else bool(value)


def _donors(keys: list[str], places: list[int], generator: np.random.Generator) -> dict[int, int]:
    """For every row another one with something else: rows of one post share their image."""
    first = dict(zip(reversed(keys), reversed(places)))
    if len(first) < 2:
        raise ValueError("All rows have the same image or caption: there is none to shuffle it with.")
    # A cycle in random order: nobody is their own neighbour.
    distinct = list(first)
    cycle = [distinct[i] for i in generator.permutation(len(distinct))]
    after = dict(zip(cycle, cycle[1:] + cycle[:1]))
    return {place: first[after[key]] for key, place in zip(keys, places)}


def _key(value: Any) -> str:
    """Captions are what they say; an image is what is in its file, and objects without one what is in theirs."""
    return " ".join(map(_key_of_part, value)) if isinstance(value, list) else _key_of_part(value)


def _key_of_part(part: Any) -> str:
    if not isinstance(part, Mapping):
        return str(part)
    return digest_of(part["path"] if part["bytes"] is None else part["bytes"])


__all__ = ["CONTROLS", "PerturbedDataset"]

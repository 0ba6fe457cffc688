"""What a claim about pictures or captions has to be held against: the same rows without them, or with wrong ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from datasets import Dataset

from .posts import digest_of, undecoded

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
    - `"shuffled-images"`: every distinct picture, with objects on it, takes the place of another one in all rows that
      have that. `"shuffled-captions"`: the same of captions.
    - `"blank-images"`: every picture is grey, of one size; `"noise-images"`: noise, another in every row. Objects go.

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
        rows = np.arange(len(dataset))
        if control != "text-only":  # that leaves out what is there, whatever it is
            column = "caption" if control.endswith(("caption", "captions")) else "image"
            values = self.dataset[column] if column in dataset.column_names else []
            rows = np.flatnonzero([bool(value) for value in values])
            if not len(rows):
                raise ValueError(f"No row has a {column}: the control {control!r} would change nothing.")
        self.changed = generator.choice(rows, size=round(share * len(rows)), replace=False)
        self.changed.sort()
        self.donors: Mapping[int, int] = {}
        if control.startswith("shuffled") and len(self.changed):
            places = self.changed.tolist()
            self.donors = _donors([_key(values[i]) for i in places], places, generator)
        self._is_changed = set(self.changed.tolist())

    def removes(self, column: str) -> bool:
        """Whether the rows that change lose their `image` or `caption`."""
        return self.control in ("text-only", f"no-{column}")

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


def _donors(keys: list[str], places: list[int], generator: np.random.Generator) -> dict[int, int]:
    """For every row another one with something else: rows of one post share their picture."""
    first = dict(zip(reversed(keys), reversed(places)))
    if len(first) < 2:
        raise ValueError("All rows have the same picture or caption: there is none to shuffle it with.")
    # A cycle in random order: nobody is their own neighbour.
    distinct = list(first)
    cycle = [distinct[i] for i in generator.permutation(len(distinct))]
    after = dict(zip(cycle, cycle[1:] + cycle[:1]))
    return {place: first[after[key]] for key, place in zip(keys, places)}


def _key(value: Any) -> str:
    """Captions are what they say, pictures what is in their file."""
    return value if isinstance(value, str) else digest_of(value["path"] if value["bytes"] is None else value["bytes"])


__all__ = ["CONTROLS", "Controlled"]

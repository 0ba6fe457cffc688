"""Perturbations of images and captions, the controls for any claim that a model makes use of them."""

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset, Features

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
IMAGE_SHAPE = (224, 224, 3)  # of blank and noise images


class NothingToPerturb(ValueError):
    """No row has what a control perturbs, or all rows have the same."""


class PerturbedDataset:
    r"""
    The rows of a dataset with perturbed images or captions; the text is never changed.

    - `"text-only"` removes image and caption, `"no-image"` and `"no-caption"` one of them.
    - `"shuffled-images"` gives all rows with the same image the image of another post, with its objects; no row keeps
      its own. `"shuffled-captions"` does the same with captions.
    - `"blank-images"` replaces every image by a grey one, all of the same size; `"noise-images"` by noise, different in
      every row. Both remove the objects.

    A row without an image whose objects are crops is perturbed as if the crops were its image.

    Args:
        dataset: Rows with `image`, `objects` and `caption`, any of which may be missing.
        control: The perturbation, one of `CONTROLS`.
        share: The share of rows to perturb, from 0 to 1, among those that have an image or caption to perturb.
        seed: Seed of all random choices.

    Attributes:
        changed: `(rows,)`, the ids of the perturbed rows, in increasing order.

    Raises:
        ValueError: The control is unknown, or `share` is not from 0 to 1.
        NothingToPerturb: No row has an image or caption to perturb, or all have the same one (a `ValueError`).
    """

    def __init__(self, dataset: Dataset, control: str, share: float = 1.0, seed: int = 0):
        if control not in CONTROLS:
            raise ValueError(f"Unknown control {control!r}; expected one of {', '.join(CONTROLS)}.")
        if not 0 <= share <= 1:
            raise ValueError(f"`share` is {share}; expected a share from 0 to 1.")
        self.dataset, self.control, self.seed = undecoded(dataset), control, seed
        generator = np.random.default_rng(seed)
        keys = _content_keys(self.dataset, control)
        rows = np.flatnonzero([key is not None for key in keys])
        if not len(rows):
            raise NothingToPerturb(
                f"No row has anything that the control {control!r} would perturb; the columns are "
                f"{', '.join(dataset.column_names)}."
            )
        self.changed = generator.choice(rows, size=round(share * len(rows)), replace=False)
        self.changed.sort()
        changed = self.changed.tolist()
        self._changed = set(changed)
        self._donors: dict[int, int] = {}
        if control.startswith("shuffled") and changed:
            self._donors = _draw_donors([keys[row] for row in changed], changed, generator)

    def removes(self, column: str) -> bool:
        """Whether perturbed rows lose their `image` or `caption`."""
        return self.control in ("text-only", f"no-{column}")

    def changes(self, column: str) -> bool:
        """Whether perturbed rows lose their `image` or `caption` or get another one."""
        return self.control == "text-only" or column in self.control

    @property
    def features(self) -> Features:
        return self.dataset.features

    @property
    def column_names(self) -> list[str]:
        return self.dataset.column_names

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> dict[str, Any]:
        index = range(len(self.dataset))[operator.index(index)]
        row = self.dataset[index]
        return {**row, **self._replacements(index)} if index in self._changed else row

    def _replacements(self, index: int) -> dict[str, Any]:
        """The columns of a perturbed row that differ from the original."""
        if self.control == "text-only":
            return {"image": None, "objects": None, "caption": None}
        if self.control == "no-image":
            return {"image": None, "objects": None}
        if self.control == "no-caption":
            return {"caption": None}
        if self.control == "shuffled-captions":
            return {"caption": self.dataset[self._donors[index]]["caption"]}
        if self.control == "shuffled-images":
            donor = self.dataset[self._donors[index]]
            return {"image": donor["image"], "objects": donor.get("objects")}
        if self.control == "blank-images":
            pixels = np.full(IMAGE_SHAPE, 128, dtype=np.uint8)
        else:
            pixels = np.random.default_rng([self.seed, index]).integers(0, 256, IMAGE_SHAPE, dtype=np.uint8)
        return {"image": pixels, "objects": None}


def _content_keys(dataset: Dataset, control: str) -> list[str | None]:
    """Identifies the content of each row that a control perturbs; `None` if the row has none. Only shuffling tells
    contents apart."""
    columns = ["caption"] if "caption" in control else ["image", "objects"]
    if control == "text-only":
        columns.append("caption")
    columns = [column for column in columns if column in dataset.column_names]
    if not columns:
        return [None] * len(dataset)
    is_shuffled = control.startswith("shuffled")
    keys: list[str | None] = []
    for row in dataset.select_columns(columns):  # row by row: all images may not fit into memory
        content = next((row[column] for column in columns if _is_content(row[column])), None)
        keys.append(None if content is None else _key(content) if is_shuffled else "")
    return keys


def _is_content(value: Any) -> bool:
    # Boxes are regions of the image; without it they are empty.
    return any(isinstance(part, dict) for part in value) if isinstance(value, list) else bool(value)


def _key(content: Any) -> str:
    """Captions are compared as strings, images and crops by the content of their files."""
    return " ".join(map(_key_of_part, content)) if isinstance(content, list) else _key_of_part(content)


def _key_of_part(part: Any) -> str:
    if not isinstance(part, dict):
        return str(part)
    return digest_of(part["path"] if part["bytes"] is None else part["bytes"])


def _draw_donors(keys: Sequence[str | None], rows: Sequence[int], generator: np.random.Generator) -> dict[int, int]:
    """Draws a row with other content for each row; rows with the same content get the same one."""
    first_row = dict(zip(reversed(keys), reversed(rows)))
    if len(first_row) < 2:
        raise NothingToPerturb("All rows have the same image or caption; shuffling needs at least two different ones.")
    # Along a cycle in random order no content is its own successor.
    contents = list(first_row)
    cycle = [contents[i] for i in generator.permutation(len(contents))]
    successor = dict(zip(cycle, cycle[1:] + cycle[:1]))
    return {row: first_row[successor[key]] for key, row in zip(keys, rows)}


__all__ = ["CONTROLS", "NothingToPerturb", "PerturbedDataset"]

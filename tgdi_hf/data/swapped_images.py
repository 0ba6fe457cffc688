"""Training rows of which a share has the image of another post, so that a model learns to disregard images."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np
from torch.utils.data import Dataset as TorchDataset
from torch.utils.data import IterableDataset as TorchIterableDataset

from ..processing.image_boxes import is_box
from ..processing.image_sources import image_key

WINDOW = 64  # rows of a stream among which images are swapped
SWAPPED = ("image", "objects", "caption")  # what belongs to an image
IMAGE_MATCHES = "image_matches"  # the key of a row, and the model's argument


def check_swapped_share(share: float) -> float:
    """Returns the share of rows to swap, or raises ValueError if it is not from 0 to 1."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"`swap_images` is {share!r}; expected the share of rows that get another image, 0 to 1.")
    return share


def swap_images(rows: Sequence[Mapping[str, Any]], share: float, generator: np.random.Generator) -> list[dict]:
    r"""
    Gives a share of the rows the image of another post among them, with its caption and objects. The label stays.

    Args:
        rows: Rows with `image` (undecoded), `objects` and `caption`, any of which may be missing.
        share: The expected share of the rows with an image that get another one.
        generator: Source of all random choices.

    Returns:
        The rows, with `image_matches`: 0 for rows with the image of another post, 1 for all others. Rows with equal
        images are rows of one post: a row never gets an image that equals its own, and keeps its own if all are equal.
    """
    keys = [_key_of(row, f"row {i}") for i, row in enumerate(rows)]
    with_image = [i for i, key in enumerate(keys) if key is not None]
    # A fraction of a row is swapped in that fraction of all batches.
    count = int(share * len(with_image) + generator.random())
    swapped = [{**row, IMAGE_MATCHES: 1} for row in rows]
    for i in generator.permutation(with_image)[:count].tolist():
        donors = [j for j in with_image if keys[j] != keys[i]]
        if donors:
            donor = rows[donors[generator.integers(len(donors))]]
            columns = {name for name in SWAPPED if name in rows[i] or name in donor}
            swapped[i].update({name: donor.get(name) for name in columns}, **{IMAGE_MATCHES: 0})
    return swapped


def _key_of(row: Mapping[str, Any], where: str) -> Any:
    """Identifies the image of a row, or its crops if it has no whole image; `None` without either."""
    if row.get("image") is not None:
        return image_key(row["image"], where)
    objects = row.get("objects")
    crops = [part for part in ([] if objects is None else objects) if not is_box(part)]
    return tuple(image_key(part, where) for part in crops) or None


class SwappedImages(TorchDataset):
    r"""
    A dataset whose batches have swapped images, see `swap_images`. The choices depend on the seed and on the rows of
    the batch, not on previous batches: a resumed run, and one with another number of workers, sees the same swaps, and
    an epoch in another order sees others. Images come from the same batch, which already decodes and encodes them.

    Args:
        rows: A dataset with `__getitem__`, whose images are undecoded.
        share: See `swap_images`.
        seed: Seed of all random choices.

    Raises:
        ValueError: `share` is not from 0 to 1.
    """

    def __init__(self, rows: Any, share: float, seed: int = 0):
        self.rows, self.share, self.seed = rows, check_swapped_share(share), seed

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """A row by itself, for which there is no other image."""
        return {**self.rows[index], IMAGE_MATCHES: 1}

    def __getitems__(self, indices: Sequence[int]) -> list[dict[str, Any]]:
        """The rows of a batch; dataloaders call it."""
        many = getattr(self.rows, "__getitems__", None)
        rows = [self.rows[index] for index in indices] if many is None else many(indices)
        return swap_images(rows, self.share, np.random.default_rng([self.seed, *indices]))


class SwappedImageStream(TorchIterableDataset):
    r"""
    A stream with swapped images, see `swap_images`. Images are swapped within consecutive rows; the choices depend on
    the seed, the epoch and the texts of these rows.

    Args:
        rows: A stream of rows, of `datasets` or PyTorch, whose images are undecoded.
        share: See `swap_images`.
        seed: Seed of all random choices.
        window: The number of consecutive rows among which images are swapped.

    Raises:
        ValueError: `share` is not from 0 to 1.
    """

    def __init__(self, rows: Any, share: float, seed: int = 0, window: int = WINDOW):
        self.rows, self.share, self.seed, self.window = rows, check_swapped_share(share), seed, window
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, on which the choices depend; trainers call it."""
        self.epoch = epoch
        if hasattr(self.rows, "set_epoch"):
            self.rows.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.rows)  # a TypeError if the stream does not know

    def __iter__(self) -> Iterator[dict[str, Any]]:
        rows = iter(self.rows)
        while window := list(islice(rows, self.window)):
            yield from swap_images(window, self.share, self._generator(window))

    def _generator(self, window: list[Mapping[str, Any]]) -> np.random.Generator:
        texts = repr([(row.get("text"), row.get("words"), row.get("head"), row.get("tail")) for row in window])
        digest = hashlib.sha256(texts.encode()).digest()
        return np.random.default_rng([self.seed, self.epoch, int.from_bytes(digest[:8], "big")])


__all__ = ["SwappedImageStream", "SwappedImages", "swap_images"]

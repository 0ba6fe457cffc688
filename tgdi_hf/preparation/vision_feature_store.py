"""
Vision features on disk: a folder with one memory-mapped file of rows of equal size, and an index of the rows.

`features.json` has the fingerprint, the data type and the shape `(tokens, d_v)` of a row; `features.bin` has the rows;
`index.sqlite` maps an image's digest and a box to the number of a row.
"""

import json
import math
import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..data.image_identity import digest_of
from ..processing.image_boxes import Box
from ..processing.image_resizing import SQUASH
from ..processing.processor_options import CROPS
from .vision_fingerprint import check_fingerprint

META, ROWS, INDEX = "features.json", "features.bin", "index.sqlite"
DTYPES = ("float32", "float16", "bfloat16")


class FeatureKey(NamedTuple):
    r"""
    Names one row of vision features.

    Args:
        image: Digest of the image file.
        part: From `part_key`.
    """

    image: str
    part: str


def part_key(box: Box | None, squash: bool = False) -> str:
    """Names the pixels that a box covers, and how they are resized: `"x0,y0,x1,y1"` or `"x0,y0,x1,y1,squash"`; without
    the box for the whole image, so that an image that is not squashed is `""`."""
    corners: list[int] = []
    if box is not None:
        x0, y0, x1, y1 = box
        corners = [math.floor(x0), math.floor(y0), math.ceil(x1), math.ceil(y1)]
    return ",".join([*map(str, corners), *([SQUASH] if squash else [])])


class VisionFeatures:
    r"""
    Reads the vision features in a folder, one row `(tokens, d_v)` per image and per box; for `object_features`
    `"regions"` per image alone.

    They belong to the weights of one vision encoder, one image processor, one `object_features` and, for `"crops"`, one
    `prompt_grid`, and cannot be used with others.

    Args:
        folder: From `compute_vision_features`.
        fingerprint: The expected fingerprint, from `fingerprint_of`; not checked by default.

    Raises:
        FileNotFoundError: The folder has no features.
        ValueError: The fingerprint differs; the message lists each difference.
    """

    def __init__(self, folder: str | Path, fingerprint: Mapping[str, Any] | None = None):
        self.folder = Path(folder)
        if not (self.folder / META).is_file():
            raise FileNotFoundError(f"{self.folder} has no vision features; expected a folder with {META}.")
        self.meta: dict[str, Any] = json.loads((self.folder / META).read_text(encoding="utf-8"))
        if fingerprint is not None:
            check_fingerprint(self.folder, self.meta["fingerprint"], fingerprint)
        with closing(sqlite3.connect(self.folder / INDEX)) as db:
            self.slots = {
                FeatureKey(image, box): slot for image, box, slot in db.execute("SELECT image, box, slot FROM slots")
            }
        self._rows: np.ndarray | None = None
        self._last: tuple[Any, str] | None = None

    def __len__(self) -> int:
        return len(self.slots)

    @property
    def object_features(self) -> str:
        """`"crops"` or `"regions"`, as in the configuration of the model."""
        return self.meta["fingerprint"].get("object_features", CROPS)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_rows": None, "_last": None}  # a dataloader worker maps the file itself

    def __call__(self, source: Any, box: Box | None, where: str, squash: bool = False) -> np.ndarray:
        r"""
        Args:
            source: The image: a path, or a mapping with `bytes` or `path`.
            box: A box in the image; `None` for the whole image.
            where: Names the image in error messages.
            squash: Whether the image or box was squashed, see `TGDIProcessor`.

        Returns:
            `np.ndarray`: `(tokens, d_v)`; bfloat16 is returned as float32, because NumPy has no bfloat16.

        Raises:
            ValueError: The folder has no features of this image or box.
        """
        if self._last is None or self._last[0] is not source:  # the boxes of an image are read one after the other
            self._last = source, _digest(source, where)
        slot = self.slots.get(FeatureKey(self._last[1], part_key(box, squash)))
        if slot is None:
            part = f"{'' if box is None else f' and box {box}'}{', squashed' if squash else ''}"
            raise ValueError(
                f"{where}: {self.folder} has no features of this image{part}. "
                "Compute them with `compute_vision_features` for all data that you train or evaluate on; it logs a "
                "warning for each image that it cannot use."
            )
        if self._rows is None:
            self._rows = _map_rows(self.folder, self.meta, "r")
        row = np.array(self._rows[slot])
        return torch.from_numpy(row).view(torch.bfloat16).float().numpy() if self.meta["dtype"] == "bfloat16" else row


class VisionFeatureWriter:
    r"""
    Appends rows to a folder of vision features.

    Each `write` first flushes its rows and then commits their keys in one transaction, so that a killed process leaves
    no key without its row.

    Args:
        folder: An existing folder, with or without features.
        fingerprint: From `fingerprint_of`.
        dtype: One of `DTYPES`.

    Raises:
        ValueError: The folder has features with another fingerprint or data type.
    """

    rows: np.ndarray

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any], dtype: str):
        self.folder = folder
        self.meta: dict[str, Any] = {"fingerprint": fingerprint, "dtype": dtype}
        if (folder / META).is_file():
            self.meta = json.loads((folder / META).read_text(encoding="utf-8"))
            check_fingerprint(folder, self.meta["fingerprint"], fingerprint)
            if self.meta["dtype"] != dtype:
                raise ValueError(
                    f"The vision features in {folder} are stored as {self.meta['dtype']}, not as {dtype}. Choose "
                    "another folder, or the stored dtype."
                )
        self._db = sqlite3.connect(folder / INDEX)
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS slots (image TEXT, box TEXT, slot INTEGER, PRIMARY KEY (image, box))"
        )
        self.keys = {FeatureKey(*key) for key in self._db.execute("SELECT image, box FROM slots")}
        self.used = len(self.keys)

    def reserve(self, count: int, shape: Iterable[int]) -> None:
        """Makes room on disk for `count` more rows of shape `(tokens, d_v)`."""
        self.meta["shape"] = list(shape)
        (self.folder / META).write_text(json.dumps(self.meta, indent=2) + "\n", encoding="utf-8")
        with (self.folder / ROWS).open("ab") as file:
            file.truncate((self.used + count) * self.row_bytes)
        self.rows = _map_rows(self.folder, self.meta, "r+")

    @property
    def row_bytes(self) -> int:
        return math.prod(self.meta["shape"]) * _storage_dtype(self.meta["dtype"]).itemsize

    def describe(self) -> str:
        """The size on disk and the number of missing rows, after `reserve`."""
        total = len(self.rows)
        size = f"{total:,} images and parts × {self.row_bytes:,} bytes = {total * self.row_bytes / 1e9:.2f} GB"
        return f"{size}; {total - self.used:,} to compute"

    def write(self, keys: list[FeatureKey], features: torch.Tensor) -> None:
        r"""
        Args:
            keys: N keys that are not in the folder yet.
            features: `(N, tokens, d_v)`.

        Raises:
            ValueError: A value exceeds the range of the data type.
        """
        stored = features.to(getattr(torch, self.meta["dtype"]))
        if not stored.isfinite().all():
            raise ValueError(
                f"Some vision features exceed the range of {self.meta['dtype']}; store them as bfloat16 or float32."
            )
        values = stored.view(torch.int16) if stored.dtype == torch.bfloat16 else stored
        slots = range(self.used, self.used + len(keys))
        self.rows[slots.start : slots.stop] = values.numpy()
        if isinstance(self.rows, np.memmap):
            self.rows.flush()
        with self._db:
            self._db.executemany("INSERT INTO slots VALUES (?, ?, ?)", [(*k, slot) for k, slot in zip(keys, slots)])
        self.used += len(keys)


def _storage_dtype(dtype: str) -> np.dtype:
    return np.dtype("int16" if dtype == "bfloat16" else dtype)  # NumPy has no bfloat16


def _map_rows(folder: Path, meta: Mapping[str, Any], mode: Any) -> np.ndarray:
    if not (folder / ROWS).stat().st_size:  # an empty file cannot be mapped
        return np.zeros((0, *meta["shape"]), _storage_dtype(meta["dtype"]))
    rows = np.memmap(folder / ROWS, _storage_dtype(meta["dtype"]), mode)
    return rows.reshape(-1, *meta["shape"])


def _digest(source: Any, where: str) -> str:
    if isinstance(source, Mapping):
        source = source.get("bytes") or source.get("path")
    if not isinstance(source, bytes | str | Path):
        raise ValueError(
            f"{where} is a {type(source).__name__}; with precomputed vision features an image must be the path or the "
            "bytes of a file. Pass `undecoded(dataset)`."
        )
    return digest_of(source)

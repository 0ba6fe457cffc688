"""What a frozen vision encoder makes of images, computed once and kept on disk."""

import hashlib
import json
import logging
import math
import sqlite3
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from filelock import FileLock
from PIL import Image
from torch import nn
from tqdm.auto import tqdm

from ..data.dataset_columns import undecoded
from ..data.image_identity import digest_of
from ..modeling.visual_prompts import vision_features
from ..processing.image_inputs import MAX_IMAGE_PIXELS, crop, is_box, open_image

logger = logging.getLogger(__name__)

META, ROWS, INDEX = "features.json", "features.bin", "index.sqlite"
DTYPES = ("float32", "float16", "bfloat16")
# Of an image processor's settings, those that change no pixel: names of classes and of the code saved beside them.
NO_SETTINGS = ("image_processor_type", "processor_class", "_processor_class", "auto_map")
# Of a vision encoder's configuration, what its output depends on besides the weights.
_SHAPE = ("model_type", "hidden_size", "num_hidden_layers", "num_attention_heads", "hidden_act", "layer_norm_eps")
_SHAPE += ("patch_size", "image_size", "num_register_tokens")


class VisionFeatures:
    r"""
    A folder of vision features: one file that is mapped into memory, with an equal share for every image and every
    part of one, and an index of what is where.

    It belongs to the weights of one vision encoder, to one image processor and one `prompt_grid`, and can't be used
    with others.

    Args:
        folder: Made by `compute_vision_features`.
        fingerprint: What the features have to belong to, from `fingerprint_of`; anything by default.

    Raises:
        FileNotFoundError: There are no features in the folder.
        ValueError: The features belong to something else; the message says in what it differs.
    """

    def __init__(self, folder: str | Path, fingerprint: Mapping[str, Any] | None = None):
        self.folder = Path(folder)
        if not (self.folder / META).is_file():
            raise FileNotFoundError(f"{self.folder} has no vision features; expected a folder with {META}.")
        self.meta = json.loads((self.folder / META).read_text(encoding="utf-8"))
        if fingerprint is not None:
            _check_fingerprint(self.folder, self.meta["fingerprint"], fingerprint)
        with closing(sqlite3.connect(self.folder / INDEX)) as db:
            self.slots = {(image, box): slot for image, box, slot in db.execute("SELECT image, box, slot FROM slots")}
        self._rows = self._last = None

    def __len__(self) -> int:
        return len(self.slots)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "_rows": None, "_last": None}  # a worker of a dataloader maps the file itself

    def __call__(self, source: Any, box: tuple | None, where: str) -> np.ndarray:
        r"""
        Args:
            source: The image: a path, or a mapping with `bytes` or `path`.
            box: A part of it, or `None`.
            where: Names the image in messages.

        Returns:
            `np.ndarray`: `(tokens, d_v)`; bfloat16 comes as float32, since NumPy has none.

        Raises:
            ValueError: There are no features of that image.
        """
        if self._last is None or self._last[0] is not source:  # the parts of an image are asked for one by one
            self._last = source, _digest(source, where)
        slot = self.slots.get((self._last[1], box_key(box)))
        if slot is None:
            raise ValueError(
                f"{where}: {self.folder} has no features of this image{'' if box is None else f' and box {box}'}. "
                "Compute them first, with `compute_vision_features` on all data that you train or score on; where it "
                "could not, it said why in a warning."
            )
        if self._rows is None:
            self._rows = _map(self.folder, self.meta, "r")
        row = np.array(self._rows[slot])
        return torch.from_numpy(row).view(torch.bfloat16).float().numpy() if self.meta["dtype"] == "bfloat16" else row


@torch.inference_mode()
def compute_vision_features(
    tower: nn.Module,
    image_processor: Any,
    dataset: Mapping[str, Dataset],
    folder: str | Path,
    *,
    prompt_grid: int = 1,
    num_objects: int = 3,
    dtype: str = "float16",
    batch_size: int = 32,
    num_workers: int = 2,
    max_image_pixels: int = MAX_IMAGE_PIXELS,
    progress: bool = True,
) -> VisionFeatures:
    r"""
    Computes the features of all images of a dataset that the folder does not have yet.

    Says in advance how large they will be. A run that is killed goes on where it was; of several at once one computes,
    and the others wait. An image that can't be opened gets no features: training on the post that has it raises.

    Args:
        tower: The vision encoder of a TGDI model, `model.base_model.vision_tower`; it has to be frozen.
        image_processor: Its image processor, `processor.image_processor`.
        dataset: Splits with `image` and, if need be, `objects`: boxes or crops.
        folder: Where they go; may have some already.
        prompt_grid: The model's.
        num_objects: The model's; of more objects the first count.
        dtype: Of the features on disk: `"float32"`, `"float16"` or `"bfloat16"`.
        batch_size: Images a run of the encoder.
        num_workers: Threads that open and scale images.
        max_image_pixels: An image of more pixels is refused before it is decoded.
        progress: Show a bar.

    Raises:
        ValueError: The folder has features of something else, the encoder is not frozen, or there is no such dtype.
    """
    if dtype not in DTYPES:
        raise ValueError(f"`dtype` is {dtype!r}; expected one of {', '.join(DTYPES)}.")
    if any(parameter.requires_grad for parameter in tower.parameters()):
        raise ValueError("Features that are kept need an encoder that stays as it is: `model.freeze_vision_encoder()`.")
    if isinstance(dataset, Dataset):
        dataset = {"": dataset}
    dataset = {split: _images_only(rows) for split, rows in dataset.items()}
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        store = _Store(folder, fingerprint_of(tower, image_processor, prompt_grid), dtype)
        todo = store.missing(_wanted(dataset, num_objects))
        scale = partial(_scale, image_processor)
        store.reserve(
            todo, vision_features(tower, _on(tower, [scale(Image.new("RGB", (64, 64)))]), prompt_grid)[0].shape
        )
        if progress:
            print(f"vision features in {folder}: {store.describe()}", file=sys.stderr)
        bar = tqdm(total=len(todo), unit=" images", desc="vision features", disable=None if progress else True)
        with ThreadPoolExecutor(max(num_workers, 1)) as pool, bar:
            for chunk in _opened(todo, dataset, scale, batch_size, max_image_pixels, pool):
                crops = [(image, box, pixels) for image, parts in chunk for box, pixels in parts.items()]
                for start in range(0, len(crops), batch_size):
                    part = crops[start : start + batch_size]
                    features = vision_features(tower, _on(tower, [pixels for *_, pixels in part]), prompt_grid)
                    store.put([(image, box) for image, box, _ in part], features.cpu())
                bar.update(len(chunk))
    return VisionFeatures(folder, store.meta["fingerprint"])


def fingerprint_of(tower: nn.Module, image_processor: Any, prompt_grid: int) -> dict[str, Any]:
    """What vision features belong to: digests of the encoder's weights and of the image processor's settings."""
    digest = hashlib.sha256()
    for name, value in sorted(tower.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    settings = {
        name: value
        for name, value in sorted(image_processor.to_dict().items())
        if value is not None and name not in NO_SETTINGS
    }
    return {
        "encoder": {name: getattr(tower.config, name) for name in _SHAPE if hasattr(tower.config, name)},
        "weights": digest.hexdigest()[:32],
        "image_processor": json.loads(json.dumps(settings, default=str)),
        "prompt_grid": prompt_grid,
    }


def _check_fingerprint(folder: Path, found: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    expected = json.loads(json.dumps(expected))
    kept = {name: value for name, value in found.get("image_processor", {}).items() if name not in NO_SETTINGS}
    found = {**found, "image_processor": kept}
    differing = [name for name in expected if found.get(name) != expected[name]]
    if differing:
        what = "; ".join(f"{name} was {found.get(name)}, is {expected[name]}" for name in differing)
        raise ValueError(
            f"The vision features in {folder} belong to another vision encoder or image processor: {what}. Compute "
            "them anew in another folder."
        )


def box_key(box: tuple | None) -> str:
    """Names the pixels that a box cuts out; the whole image is `""`."""
    if box is None:
        return ""
    x0, y0, x1, y1 = box
    return f"{math.floor(x0)},{math.floor(y0)},{math.ceil(x1)},{math.ceil(y1)}"


def _digest(source: Any, where: str) -> str:
    if isinstance(source, Mapping):
        source = source.get("bytes") or source.get("path")
    if not isinstance(source, bytes | str | Path):
        raise ValueError(
            f"{where} is given as a {type(source).__name__}; with kept vision features it has to be the path or the "
            "bytes of a file: `undecoded(dataset)`."
        )
    return digest_of(source)


@dataclass
class _Parts:
    """A distinct image: where it is, and what is wanted of it."""

    split: str
    row: int
    place: int | None  # among the objects of the row, or its image
    boxes: dict[str, tuple | None]


def _images_only(rows: Dataset) -> Dataset:
    rows = undecoded(rows)
    return rows.select_columns([name for name in ("image", "objects") if name in rows.column_names])


def _wanted(dataset: Mapping[str, Dataset], num_objects: int) -> dict[str, _Parts]:
    """By digest; files that are not there are left to whoever reads the rows that name them."""
    wanted: dict[str, _Parts] = {}
    digests: dict[str, str | None] = {}

    def add(source: Any, split: str, row: int, place: int | None, box: tuple | None = None) -> None:
        if isinstance(source, str):
            source = {"path": source, "bytes": None}
        path = source.get("path") if source.get("bytes") is None else None
        if path is not None and path not in digests:
            digests[path] = digest_of(path) if Path(path).is_file() else None
        digest = digests[path] if path is not None else digest_of(source["bytes"])
        if digest is not None:
            wanted.setdefault(digest, _Parts(split, row, place, {})).boxes[box_key(box)] = box

    for split, rows in dataset.items():
        for number, row in enumerate(rows):
            image = row.get("image")
            if image is not None:
                add(image, split, number, None)
            for place, part in enumerate((row.get("objects") or [])[:num_objects]):
                if not is_box(part):
                    add(part, split, number, place)
                elif image is not None:
                    add(image, split, number, None, tuple(part))
    return wanted


def _opened(
    todo: Mapping[str, _Parts],
    dataset: Mapping[str, Dataset],
    scale: Callable[[Image.Image], np.ndarray],
    size: int,
    max_pixels: int,
    pool: ThreadPoolExecutor,
) -> Iterator[list[tuple[str, dict[str, np.ndarray]]]]:
    """Batches of images cut into their parts, one being opened while the encoder is at the one before."""

    def cut(image: str) -> tuple[str, dict[str, np.ndarray]]:
        parts = todo[image]
        row = dataset[parts.split][parts.row]
        source = row["image"] if parts.place is None else row["objects"][parts.place]
        where = f"{parts.split}, row {parts.row}"
        found = {}
        try:
            pil_image = open_image(source, where, max_pixels)
        except ValueError as error:
            logger.warning("No vision features: %s", error)
            return image, found
        for key, box in parts.boxes.items():  # one that can't be cut out does not take the others with it
            try:
                found[key] = scale(crop(pil_image, box, where))
            except ValueError as error:
                logger.warning("No vision features: %s", error)
        return image, found

    images, before = list(todo), None
    for start in range(0, len(images) + size, size):
        coming = [pool.submit(cut, image) for image in images[start : start + size]]
        if before is not None:
            yield [future.result() for future in before]
        before = coming


def _scale(image_processor: Any, image: Image.Image) -> np.ndarray:
    return np.asarray(image_processor([image])["pixel_values"][0])


def _on(tower: nn.Module, pixels: list[np.ndarray]) -> torch.Tensor:
    return torch.from_numpy(np.stack(pixels)).to(tower.device)


class _Store:
    """Writes what `VisionFeatures` reads: rows first, and then, in one transaction, which they are."""

    def __init__(self, folder: Path, fingerprint: Mapping[str, Any], dtype: str):
        self.folder = folder
        self.meta = {"fingerprint": fingerprint, "dtype": dtype}
        if (folder / META).is_file():
            self.meta = json.loads((folder / META).read_text(encoding="utf-8"))
            _check_fingerprint(folder, self.meta["fingerprint"], fingerprint)
            if self.meta["dtype"] != dtype:
                raise ValueError(
                    f"The vision features in {folder} are kept as {self.meta['dtype']}, not as {dtype}. Take another "
                    "folder, or the same dtype."
                )
        self.db = sqlite3.connect(folder / INDEX)
        self.db.execute(
            "CREATE TABLE IF NOT EXISTS slots (image TEXT, box TEXT, slot INTEGER, PRIMARY KEY (image, box))"
        )
        self.known = set(self.db.execute("SELECT image, box FROM slots"))
        self.used = len(self.known)

    def missing(self, wanted: Mapping[str, _Parts]) -> dict[str, _Parts]:
        """What there is no row of yet."""
        missing = {}
        for image, parts in wanted.items():
            boxes = {key: box for key, box in parts.boxes.items() if (image, key) not in self.known}
            if boxes:
                missing[image] = replace(parts, boxes=boxes)
        return missing

    def reserve(self, todo: Mapping[str, _Parts], shape: Iterable[int]) -> None:
        """Makes room for rows of `(tokens, d_v)`."""
        more = sum(len(parts.boxes) for parts in todo.values())
        self.meta["shape"] = list(shape)
        (self.folder / META).write_text(json.dumps(self.meta, indent=2) + "\n", encoding="utf-8")
        with (self.folder / ROWS).open("ab") as file:
            file.truncate((self.used + more) * self.row_bytes)
        self.rows = _map(self.folder, self.meta, "r+")

    @property
    def row_bytes(self) -> int:
        return math.prod(self.meta["shape"]) * _storage(self.meta["dtype"]).itemsize

    def describe(self) -> str:
        room = len(self.rows)
        size = f"{room:,} images and parts × {self.row_bytes:,} bytes = {room * self.row_bytes / 1e9:.2f} GB"
        return f"{size}; {room - self.used:,} to compute"

    def put(self, keys: list[tuple[str, str]], features: torch.Tensor) -> None:
        stored = features.to(getattr(torch, self.meta["dtype"]))
        if not stored.isfinite().all():
            raise ValueError(f"Vision features do not fit into {self.meta['dtype']}; keep them as bfloat16 or float32.")
        values = stored.view(torch.int16) if stored.dtype == torch.bfloat16 else stored
        slots = range(self.used, self.used + len(keys))
        self.rows[slots.start : slots.stop] = values.numpy()
        self.rows.flush()
        with self.db:
            self.db.executemany("INSERT INTO slots VALUES (?, ?, ?)", [(*k, s) for k, s in zip(keys, slots)])
        self.used += len(keys)


def _storage(dtype: str) -> np.dtype:
    return np.dtype("int16" if dtype == "bfloat16" else dtype)  # NumPy has no bfloat16


def _map(folder: Path, meta: Mapping[str, Any], mode: str) -> np.ndarray:
    if not (folder / ROWS).stat().st_size:  # an empty file can't be mapped
        return np.zeros((0, *meta["shape"]), _storage(meta["dtype"]))
    rows = np.memmap(folder / ROWS, _storage(meta["dtype"]), mode)
    return rows.reshape(-1, *meta["shape"])

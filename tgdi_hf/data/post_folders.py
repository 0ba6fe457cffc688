"""The layouts of folders of posts: which file is which split, and where its images are."""

import re
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset, Value

from ..processing.post_keys import FILE_NAME
from .row_reader import KINDS, format_of

# As `datasets` knows them.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
METADATA = "metadata"  # of an imagefolder
_SHARD = re.compile(r"-\d{5}-of-\d{5}")


def split_files(folder: Path, readable: Collection[Path]) -> dict[str, list[Path]]:
    r"""
    Args:
        folder: Has `train.*`, and if need be `validation.*` (or `val.*`, `dev.*`) and `test.*`, one file each or shards
            (`train-00000-of-00002.parquet`), there or in `data/`; or a folder per split with one file or shards; or an
            imagefolder, `metadata.*` beside the images, with or without a folder per split.
        readable: All files below it that can be read.

    Returns:
        The files of each split; the posts of an imagefolder without splits are `train`.

    Raises:
        ValueError: A split has several files that are no shards of one.
    """
    found: dict[str, list[Path]] = {}
    for split, names in SPLIT_NAMES.items():
        of_split = [
            path
            for path in readable
            if (_stem(path) in names and path.parent in (folder, folder / "data"))
            or (path.parent.parent == folder and path.parent.name in names)
        ]
        metadata = [path for path in of_split if _stem(path) == METADATA]
        if of_split := metadata or of_split:
            found[split] = _one_or_shards(of_split, folder, split)
    if not found and (metadata := [path for path in readable if path.parent == folder and _stem(path) == METADATA]):
        found["train"] = _one_or_shards(metadata, folder, "train")
    return found


def _stem(path: Path) -> str:
    return _SHARD.sub("", path.name.partition(".")[0])


def _one_or_shards(files: Sequence[Path], folder: Path, split: str) -> list[Path]:
    if len(files) > 1 and not all(_SHARD.search(file.name) for file in files):
        names = ", ".join(str(file.relative_to(folder)) for file in files)
        raise ValueError(f"{folder} has several files of the split {split!r}: {names}. Leave one.")
    return sorted(files)


def with_images_below(rows: Dataset, prefix: Path) -> Dataset:
    """Posts of a file in the subfolder `prefix`, whose relative paths of images start there, with paths that start at
    the folder above."""
    columns = [name for name in ("image", FILE_NAME) if isinstance(rows.features.get(name), Value)]
    if prefix == Path() or not columns:
        return rows
    return rows.map(partial(_below, str(prefix), columns), input_columns=columns, desc=f"images in {prefix}")


def _below(prefix: str, columns: list[str], *cells: Any) -> dict[str, Any]:
    return {
        name: str(Path(prefix, cell)) if isinstance(cell, str) and cell and "://" not in cell else cell
        for name, cell in zip(columns, cells)
    }


def find_splits(folder: Path) -> dict[str, list[Path]]:
    """The files of each split, see `split_files`; none in a folder that has no posts."""
    near = (file for pattern in ("*", "*/*") for file in folder.glob(pattern) if file.is_file())
    return split_files(folder, sorted(file for file in near if format_of(file) in KINDS))

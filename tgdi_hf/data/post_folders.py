"""Layouts of folders of posts: the files of each split, and the folder at which their image paths start."""

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from datasets import Dataset, Value

from ..processing.post_keys import FILE_NAME
from .row_reader import BUILDERS, format_of
from .table_cells import is_url

# The names of splits in files and folders, as `datasets` recognises them.
SPLIT_NAMES = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
METADATA = "metadata"  # name of the file of posts in an imagefolder
_SHARD = re.compile(r"-\d{5}-of-\d{5}")


def find_splits(folder: Path) -> dict[str, list[Path]]:
    r"""
    Finds the files of each split of a folder.

    Args:
        folder: Contains `train.*` and optionally `validation.*` (or `val.*`, `dev.*`) and `test.*`, one file each or
            shards (`train-00000-of-00002.parquet`), directly or in `data/`; or one folder per split with one file or
            shards; or an imagefolder, `metadata.*` beside the images, with or without one folder per split.

    Returns:
        The files of each split; those of an imagefolder without splits are `train`. Empty if the folder has no posts.

    Raises:
        ValueError: A split has several files that are not shards of one.
    """
    nearby = (file for pattern in ("*", "*/*") for file in folder.glob(pattern) if file.is_file())
    readable = sorted(file for file in nearby if format_of(file) in BUILDERS)
    splits: dict[str, list[Path]] = {}
    for split, names in SPLIT_NAMES.items():
        files = [
            file
            for file in readable
            if (_stem(file) in names and file.parent in (folder, folder / "data"))
            or (file.parent.parent == folder and file.parent.name in names)
        ]
        metadata = [file for file in files if _stem(file) == METADATA]
        if files := metadata or files:
            splits[split] = _one_or_shards(files, folder, split)
    metadata = [file for file in readable if file.parent == folder and _stem(file) == METADATA]
    if metadata and not splits:
        splits["train"] = _one_or_shards(metadata, folder, "train")
    return splits


def _stem(path: Path) -> str:
    """The name of a file without suffixes and shard number."""
    return _SHARD.sub("", path.name.partition(".")[0])


def _one_or_shards(files: Sequence[Path], folder: Path, split: str) -> list[Path]:
    if len(files) > 1 and not all(_SHARD.search(file.name) for file in files):
        names = ", ".join(str(file.relative_to(folder)) for file in files)
        raise ValueError(f"{folder} has several files of the split {split!r}: {names}. Keep one.")
    return sorted(files)


def with_images_below(rows: Dataset, subfolder: Path) -> Dataset:
    r"""
    Makes image paths relative to the folder of the corpus.

    Args:
        rows: Posts of a file in a subfolder, whose relative image paths start at that subfolder.
        subfolder: The subfolder, relative to the folder of the corpus.

    Returns:
        The posts with `subfolder` in front of every image path.
    """
    columns = [name for name in ("image", FILE_NAME) if isinstance(rows.features.get(name), Value)]
    if subfolder == Path() or not columns:
        return rows
    return rows.map(
        partial(_prefixed, str(subfolder), columns), input_columns=columns, desc=f"image paths in {subfolder}"
    )


def _prefixed(subfolder: str, columns: list[str], *cells: Any) -> dict[str, Any]:
    return {
        name: str(Path(subfolder, cell)) if isinstance(cell, str) and cell and not is_url(cell) else cell
        for name, cell in zip(columns, cells)
    }

"""Posts of one's own: files of them, and their pictures."""

import hashlib
from pathlib import Path

from datasets import Dataset, DatasetDict, Image, List, load_dataset, load_from_disk

from .mnre import load_mnre

READERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
SPLITS = ("train", "validation", "test")


def read_table(path: str | Path, objects: str = "none", cache_dir: str | Path | None = None) -> DatasetDict:
    r"""
    Reads posts as they are.

    Args:
        path: A JSON Lines, CSV or Parquet file; a folder with `train.*`, and if need be `validation.*` and `test.*`, of
            one of these kinds; a folder made by `prepare` or `save_to_disk`; or an MNRE folder.
        objects: See `load_mnre`.
        cache_dir: Where `datasets` keeps what it has read.

    Returns:
        `DatasetDict`; a single file is its `train`.

    Raises:
        ValueError: Nothing of the kind is there, or a file can't be read; the message names it.
    """
    path = Path(path)
    for folder in (path, path / "dataset"):
        if (folder / "dataset_dict.json").is_file():
            return load_from_disk(str(folder))
    if (path / "state.json").is_file():
        return DatasetDict(train=load_from_disk(str(path)))
    if (path / "txt").is_dir():
        return load_mnre(path, objects=objects)
    files = {"train": path} if path.is_file() else _split_files(path)
    kinds = {READERS.get(file.suffix.lower()) for file in files.values()}
    if not files or len(kinds) > 1 or None in kinds:
        raise ValueError(
            f"{path}: expected a .jsonl, .csv or .parquet file; a folder with train, validation and test files of one "
            "of these kinds, one made by `save_to_disk`, or one in MNRE's layout."
        )
    if empty := [file for file in files.values() if not file.stat().st_size]:
        raise ValueError(f"{empty[0]} is empty; expected posts.")
    kind = kinds.pop()
    # pandas would take the relation `None`, and an entity called NA, for cells that are empty.
    options = {"keep_default_na": False, "na_values": [""]} if kind == "csv" else {}
    try:
        return load_dataset(
            kind, data_files={split: str(file) for split, file in files.items()}, cache_dir=cache_dir, **options
        )
    except Exception as error:  # builders raise whatever the parsers do, wrapped
        cause = error.__cause__ or error
        raise ValueError(f"{', '.join(map(str, files.values()))} can't be read: {cause!r}") from error


def _split_files(folder: Path) -> dict[str, Path]:
    found = {split: [file for file in folder.glob(f"{split}.*") if file.suffix.lower() in READERS] for split in SPLITS}
    several = [split for split, files in found.items() if len(files) > 1]
    if several:
        names = ", ".join(file.name for file in found[several[0]])
        raise ValueError(f"{folder} has several files of the split {several[0]!r}: {names}. Leave one.")
    return {split: files[0] for split, files in found.items() if files}


def undecoded(dataset):
    """Leaves images to the collator, which decodes each distinct picture of a batch once, in the dataloader workers."""
    for name, feature in dataset.features.items():
        if isinstance(feature, Image):
            dataset = dataset.cast_column(name, Image(decode=False))
        elif isinstance(feature, List) and isinstance(feature.feature, Image):
            dataset = dataset.cast_column(name, List(Image(decode=False)))
    return dataset


def digest_of(picture: bytes | str | Path) -> str:
    """Names a picture by the content of its file, given as bytes or as a path."""
    content = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    return hashlib.sha256(content).hexdigest()[:32]


def texts_of(dataset: Dataset) -> list[str]:
    """The text of every row; nothing else of it is read."""
    columns = [name for name in ("words", "text") if name in dataset.column_names]
    rows = dataset.select_columns(columns)
    return [row["text"] if row.get("words") is None else " ".join(row["words"]) for row in rows]

"""Loads posts and corpora as datasets: a file, a folder of splits, a prepared folder, or MNRE."""

from pathlib import Path

from datasets import DatasetDict, config, load_dataset, load_from_disk

from ..modeling.negative_label import AUTO
from .csv_rows import check_separator
from .json_lines_cache import as_json_lines
from .labels import with_class_labels
from .mnre import load_mnre
from .post_folders import find_splits, with_images_below
from .row_reader import KINDS, format_of


def read_table(path: str | Path, objects: str = "none", cache_dir: str | Path | None = None) -> DatasetDict:
    r"""
    Reads posts as they are.

    Args:
        path: A JSON, CSV or Parquet file, the first two maybe compressed (`.gz`); a folder of splits or an imagefolder
            of one of these kinds, see `split_files`; a folder made by `prepare` or `save_to_disk`; or an MNRE folder.
            JSON is one object per line, an array of objects, or one object.
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
    files = {"train": [path]} if path.is_file() else find_splits(path)
    kinds = {KINDS.get(format_of(file)) for shards in files.values() for file in shards}
    if not files or len(kinds) > 1 or None in kinds:
        raise ValueError(
            f"{path}: expected a .jsonl, .csv or .parquet file; a folder with train, validation and test files of one "
            "of these kinds, or metadata.jsonl beside images; one made by `save_to_disk`, or one in MNRE's layout."
        )
    every = [file for shards in files.values() for file in shards]
    if empty := [file for file in every if not file.stat().st_size]:
        raise ValueError(f"{empty[0]} is empty; expected posts.")
    kind = kinds.pop()
    # pandas would take the relation `None`, and an entity called NA, for cells that are empty.
    options = {"keep_default_na": False, "na_values": [""]} if kind == "csv" else {}
    prefixes = {split: shards[0].parent.relative_to(path) for split, shards in files.items() if path.is_dir()}
    if kind == "json":
        kept = Path(cache_dir or config.HF_DATASETS_CACHE) / "json_lines"
        files = {split: [as_json_lines(file, kept) for file in shards] for split, shards in files.items()}
    try:
        data_files = {split: [str(file) for file in shards] for split, shards in files.items()}
        found = load_dataset(kind, data_files=data_files, cache_dir=cache_dir, **options)
    except Exception as error:  # builders raise whatever the parsers do, wrapped
        cause = error.__cause__ or error
        reason = f"can't be read: {cause!r}"
        if isinstance(cause, UnicodeDecodeError):
            reason = f"is in another encoding than UTF-8 ({cause.reason}); save it in that one."
        raise ValueError(f"{', '.join(map(str, every))} {reason}") from error
    for split, rows in found.items():
        if kind == "csv":
            check_separator(str(files[split][0]), rows.column_names)
        found[split] = with_images_below(rows, prefixes.get(split, Path()))
    return found


def load_data(path: str | Path, objects: str = "none", strict: bool = True, negative: str | None = AUTO) -> DatasetDict:
    r"""
    Reads a folder of posts: what `prepare` has made, a `DatasetDict` saved with `save_to_disk`, or an MNRE folder.

    Relations may be names, or lists of names, in a column `label` or `relation`; their ids follow the alphabet, see
    `with_class_labels`.

    Args:
        path: The folder.
        objects, strict: See `load_mnre`; a saved `DatasetDict` has its objects in it, and no lines that could be bad.
        negative: The label that stands for no relation, see `find_negative`.

    Returns:
        `DatasetDict` whose `label` is a `ClassLabel`, or a list of such.

    Raises:
        ValueError: Options of an MNRE folder for a saved `DatasetDict`; posts that were not prepared; or what
            `load_mnre` refuses.
    """
    path = Path(path)
    saved = next((place for place in (path, path / "dataset") if (place / "dataset_dict.json").is_file()), None)
    if saved is None and not (path / "txt").exists() and (path.is_file() or find_splits(path)):
        raise ValueError(
            f"{path} has posts as they are; what is trained or scored on has to be prepared: tgdi prepare {path} "
            "PREPARED (with --captioner none --grounder none it only checks the posts and finds their images)."
        )
    if saved is None:
        return load_mnre(path, objects=objects, strict=strict)
    if objects != "none" or not strict:
        raise ValueError(
            f"{path} is a saved DatasetDict; `objects={objects!r}` and `strict={strict}` are for MNRE folders. Leave "
            "them out, or set them where the DatasetDict is made."
        )
    return with_class_labels(load_from_disk(str(saved)), negative)

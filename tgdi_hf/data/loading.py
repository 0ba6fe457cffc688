"""Loads posts and corpora as datasets: a file, a folder of splits, a prepared folder, or MNRE."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pyarrow
from datasets import Dataset, DatasetDict, Features, Image, List, config, load_dataset, load_from_disk
from pyarrow import parquet

from ..checkpoints import near_path
from ..modeling.negative_label import AUTO
from .csv_rows import check_csv
from .json_lines_cache import as_json_lines
from .labels import with_class_labels
from .mnre import load_mnre
from .mnre_files import CorpusError
from .mnre_layout import has_text_folder
from .post_folders import find_splits, with_images_below
from .row_reader import BUILDERS, format_of, open_binary

# Without these options pandas reads the relation `None` and an entity called `NA` as missing values.
CSV_OPTIONS = {"keep_default_na": False, "na_values": [""]}


def read_table(path: str | Path, objects: str = "none", cache_dir: str | Path | None = None) -> DatasetDict:
    r"""
    Loads posts with their columns as they are, prepared or not.

    Args:
        path: A JSON, CSV or Parquet file, of which JSON and CSV may be compressed (`.gz`); a folder of splits or an
            imagefolder of one of these formats, see `find_splits`; a folder made by `prepare` or `save_to_disk`; or an
            MNRE folder. JSON is one object per line, an array of objects, or one object.
        objects: See `load_mnre`.
        cache_dir: Cache folder of `datasets`.

    Returns:
        `DatasetDict`; a single file becomes the split `train`.

    Raises:
        ValueError: The path has no posts in one of these formats, or a file can't be read; the message names it.
    """
    path = Path(path)
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder; expected posts.{near_path(path)}")
    if saved := _saved_splits(path):
        return _load_splits(saved)
    if (path / "state.json").is_file():
        return DatasetDict(train=load_from_disk(str(path)))
    if has_text_folder(path):
        return load_mnre(path, objects=objects)
    files = {"train": [path]} if path.is_file() else find_splits(path)
    builders = {BUILDERS.get(format_of(file)) for shards in files.values() for file in shards}
    builder = builders.pop() if len(builders) == 1 else None
    if builder is None:
        raise ValueError(
            f"{path}: expected a .jsonl, .csv or .parquet file; a folder with train, validation and test files of one "
            "of these formats, or metadata.jsonl beside images; a folder made by `save_to_disk`; or an MNRE folder."
        )
    splits = _load_files(files, builder, cache_dir)
    if path.is_file():
        return splits
    for split, rows in splits.items():
        splits[split] = with_images_below(rows, files[split][0].parent.relative_to(path))
    return splits


def _load_files(files: Mapping[str, Sequence[Path]], builder: str, cache_dir: str | Path | None) -> DatasetDict:
    """The files of each split, read by a builder of `datasets`."""
    all_files = [file for shards in files.values() for file in shards]
    if empty := [file for file in all_files if not file.stat().st_size]:
        raise ValueError(f"{empty[0]} is empty; expected posts.")
    if builder == "json":
        converted = Path(cache_dir or config.HF_DATASETS_CACHE) / "json_lines"
        files = {split: [as_json_lines(file, converted) for file in shards] for split, shards in files.items()}
    if builder == "csv":
        for file in all_files:
            with open_binary(file) as content:
                check_csv(content, str(file))
    data_files = {split: [str(file) for file in shards] for split, shards in files.items()}
    try:
        options = CSV_OPTIONS if builder == "csv" else {}
        return load_dataset(builder, data_files=data_files, cache_dir=cache_dir, **options)
    except Exception as error:  # builders wrap whatever their parsers raise
        cause = error.__cause__ or error
        reason = f"can't be read: {cause!r}"
        if isinstance(cause, UnicodeDecodeError):
            reason = f"is not encoded in UTF-8 ({cause.reason}). Save it as UTF-8."
        raise ValueError(f"{', '.join(map(str, all_files))} {reason}") from error


def load_data(path: str | Path, objects: str = "none", strict: bool = True, negative: str | None = AUTO) -> DatasetDict:
    r"""
    Loads a corpus to train or to score on: a folder made by `prepare` or `DatasetDict.save_to_disk`, a folder of
    Parquet files with spans and images, such as a dataset of the Hub, or an MNRE folder.

    Relations may be names, or lists of names, in a column `label` or `relation`; their ids follow the alphabet, see
    `with_class_labels`.

    Args:
        path: The folder.
        objects, strict: See `load_mnre`; both apply to MNRE folders only.
        negative: The label that stands for no relation, see `find_negative`.

    Returns:
        `DatasetDict` whose `label` is a `ClassLabel` or a list of these.

    Raises:
        ValueError: Posts that were not prepared; options of an MNRE folder for a saved `DatasetDict`; or see
            `load_mnre`.
    """
    path = Path(path)
    if not path.exists():
        raise CorpusError(
            path,
            None,
            "no such folder; expected the output of `tgdi prepare` or `tgdi import`, a saved DatasetDict, or an MNRE "
            f"folder.{near_path(path)}",
        )
    saved = _saved_splits(path)
    complete = saved is None and _is_complete(path)
    if saved is None and not complete and not has_text_folder(path) and (path.is_file() or find_splits(path)):
        raise ValueError(
            f"{path} has posts that are not prepared; training and evaluation need prepared posts: tgdi prepare {path} "
            "PREPARED (with --captioner none --grounder none it only checks the posts and finds their images)."
        )
    if saved is None and not complete:
        return load_mnre(path, objects=objects, strict=strict)
    if objects != "none" or not strict:
        raise ValueError(
            f"{path} is a saved DatasetDict; `objects={objects!r}` and `strict={strict}` apply to MNRE folders. Leave "
            "them out, or set them where the DatasetDict is made."
        )
    return with_class_labels(read_table(path) if saved is None else _load_splits(saved), negative)


def _is_complete(path: Path) -> bool:
    """Whether a folder has Parquet files of `datasets`, whose images are embedded and whose entities are spans."""
    files = [file for shards in find_splits(path).values() for file in shards] if path.is_dir() else []
    if not files or any(format_of(file) != ".parquet" for file in files):
        return False
    try:
        features = Features.from_arrow_schema(parquet.read_schema(files[0]))
    except pyarrow.ArrowInvalid:  # damaged; reported by the loader
        return False
    has_spans = all(isinstance(features.get(entity), List) for entity in ("head", "tail"))
    return has_spans and isinstance(features.get("image"), Image)


def _saved_splits(path: Path) -> Path | None:
    """The folder of a saved `DatasetDict`: `path` itself, or `dataset` in a folder made by `prepare`."""
    return next((folder for folder in (path, path / "dataset") if (folder / "dataset_dict.json").is_file()), None)


def _load_splits(folder: Path) -> DatasetDict:
    splits = load_from_disk(str(folder))
    assert not isinstance(splits, Dataset)  # the folder has `dataset_dict.json`
    return splits

"""The output folder of `prepare`: the dataset, Parquet files, the fault report and the settings."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetDict

from ..data.progress_bars import without_progress_bars
from .faults import Fault, read_faults, write_faults

DATASET, PARQUET, REPORT, SETTINGS = "dataset", "parquet", "report.jsonl", "prepared.json"
ROWS_WITH_PROGRESS = 1000  # embedding the images of fewer rows takes a moment only


def write_output(
    folder: Path,
    dataset: DatasetDict,
    faults: Sequence[Fault],
    settings: Mapping[str, Any],
    embed_images: bool,
) -> None:
    r"""
    Args:
        folder: A new folder.
        dataset: The prepared splits.
        faults: See `write_faults`.
        settings: Plain JSON: what captions and objects depend on.
        embed_images: See `prepare`.
    """
    (folder / PARQUET).mkdir(parents=True)
    if embed_images:
        with without_progress_bars(sum(map(len, dataset.values())) < ROWS_WITH_PROGRESS):
            dataset.save_to_disk(folder / DATASET)
        dataset = DatasetDict.load_from_disk(str(folder / DATASET))
    else:
        # `save_to_disk` embeds the bytes of images. It writes the metadata for one row here, and the Arrow files of all
        # rows, which have paths, are copied over the files with that row.
        first = {split: rows.select([0]) for split, rows in dataset.items()}
        with without_progress_bars():
            DatasetDict(first).save_to_disk(folder / DATASET)
        for split, rows in dataset.items():
            (file,) = (folder / DATASET / str(split)).glob("*.arrow")
            shutil.copyfile(rows.cache_files[0]["filename"], file)
    for split, rows in dataset.items():
        rows.to_parquet(folder / PARQUET / f"{split}.parquet")
    write_faults(folder / REPORT, faults)
    text = json.dumps(settings, indent=2, ensure_ascii=False)
    (folder / SETTINGS).write_text(text + "\n", encoding="utf-8")


def read_output(folder: Path) -> tuple[DatasetDict, list[Fault]]:
    """The dataset and the faults in a folder from `write_output`."""
    return DatasetDict.load_from_disk(str(folder / DATASET)), read_faults(folder / REPORT)

"""The rows of an experiment: a stratified share of them, or with blank images that tell the number of crops alone."""

import io
from collections import defaultdict
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict
from PIL import Image

from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.mnre_crops import listed_crops
from tgdi_hf.data.mnre_schema import FEATURES


def stratified_share(labels: list[int], share: float, seed: int) -> list[int]:
    r"""
    The places of a share of the rows, in their order: of every label that share, rounded, but one row at least.

    Args:
        labels: Of all rows.
        share: From 0 to 1.
        seed: Of the draw. A larger share with the same seed contains a smaller one.
    """
    generator = np.random.default_rng(seed)
    of_label = defaultdict(list)
    for place, label in enumerate(labels):
        of_label[label].append(place)
    chosen: list[int] = []
    for label in sorted(of_label):
        places = generator.permutation(of_label[label])
        chosen += places[: max(1, round(share * len(places)))].tolist()
    return sorted(chosen)


def with_blank_crops(dataset: DatasetDict, folder: Path, num_objects: int = 3) -> DatasetDict:
    r"""
    Every post with the same grey image as its image and, as objects, as many copies of it as crops were published for
    it, `num_objects` at the most. What a model can learn from these is that number and nothing else.

    Args:
        dataset: From `load_mnre`.
        folder: The same folder.
        num_objects: The model's m.
    """
    blank = io.BytesIO()
    Image.new("RGB", (224, 224), (128, 128, 128)).save(blank, "PNG")
    image = {"bytes": blank.getvalue(), "path": None}
    splits = {}
    for split, rows in dataset.items():
        counts = listed_crops(folder, split)
        images = [image] * len(rows)
        objects = [[image] * min(counts[name], num_objects) for name in rows["id"]]
        columns = {**undecoded(rows).to_dict(), "image": images, "objects": objects}
        splits[split] = Dataset.from_dict(columns, features=FEATURES)
    return DatasetDict(splits)

"""Training rows of an experiment: a share of them, or rows whose blank images encode only the number of crops."""

import io
from collections import defaultdict
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict
from PIL import Image

from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.mnre_crops import listed_crops
from tgdi_hf.data.mnre_schema import FEATURES

SAMPLINGS = ("random", "stratified")


def sample_rows(labels: list[int], share: float, sampling: str, seed: int) -> list[int]:
    r"""
    Indices of a share of the rows, in order.

    Args:
        labels: Labels of all rows.
        share: From 0 to 1.
        sampling: `"random"`: that share, rounded, of all rows; a rare label may have none. `"stratified"`: that share,
            rounded, of the rows of each label. Either draws at least one row.
        seed: Seed of the draw. With the same seed, a larger share contains a smaller one.
    """
    generator = np.random.default_rng(seed)
    if sampling == "random":
        groups: list = [range(len(labels))]
    else:
        of_label = defaultdict(list)
        for place, label in enumerate(labels):
            of_label[label].append(place)
        groups = [of_label[label] for label in sorted(of_label)]
    chosen: list[int] = []
    for group in groups:
        places = generator.permutation(group)
        chosen += places[: max(1, round(share * len(places)))].tolist()
    return sorted(chosen)


def with_blank_crops(dataset: DatasetDict, folder: Path, num_objects: int = 3) -> DatasetDict:
    r"""
    Gives every post the same grey image and, as objects, one copy of it per published crop, at most `num_objects`. The
    number of crops is all that a model can learn from them.

    Args:
        dataset: From `load_mnre`.
        folder: The folder it was loaded from.
        num_objects: m, the largest number of objects per post.
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

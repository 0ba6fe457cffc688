"""The search for label leaks: which features of a row, other than its text and pixels, give its label away."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from ..data.dataset_columns import texts_of, undecoded
from ..data.labels import label_names
from ..extras import require
from ..modeling.negative_label import AUTO, find_negative
from ..processing.head_and_tail import text_and_spans
from .audit_classifier import FOLDS, guess_labels
from .audit_features import features_of, image_identities

# A feature is noteworthy if by itself it gains more than this over the most frequent label, or if it tells a relation
# from none with an area under the ROC curve above that; the lower bounds of the 95 % intervals count.
NOTEWORTHY_GAIN = 0.01
NOTEWORTHY_AREA = 0.55


def audit(
    dataset: Mapping[str, Dataset],
    split: str = "train",
    extra: Mapping[str, Sequence[float]] | None = None,
    seed: int = 0,
    negative: str | None = AUTO,
) -> dict[str, Any]:
    r"""
    Searches a corpus for label leaks. A cheap classifier (a random forest) guesses the labels of a split from
    `features_of` alone, by cross-validation with rows of the same text in the same fold, and a small decision tree
    guesses them from each feature alone.

    Args:
        dataset: The splits.
        split: The split whose labels are guessed.
        extra: Further features of its rows.
        seed: Seed of folds, forests and bootstrap.
        negative: The label that stands for no relation, called None below; see `find_negative`.

    Returns:
        - `rows`; `targets`: for `"relation or None"` and `"which relation"` the accuracy of the most frequent label
          (`majority`), that of the forest, and the `gain`; for the first also the `area` under the ROC curve, which
          detects hints that change no prediction; and the same for each feature in `features`, best first. Gain and
          area have 95 % intervals by bootstrap over posts;
        - `noteworthy`: the features whose gain for one of the targets is above one point, or whose area is above 0.55,
          by the lower bound of the interval;
        - `shared`: the number of rows of each other split whose text, image (by content of the file or `image_id`) or
          entity pair (in lower case, in either order) also occurs in the split.

    Raises:
        ValueError: The split has fewer posts than folds, labels are lists, or a file is not an image. See also
            `find_negative`.
        ImportError: scikit-learn is not installed: `pip install 'tgdi_hf[audit]'`.
    """
    require("sklearn", "audit", "The audit", package="scikit-learn")
    rows = dataset[split]
    names, several = label_names(rows)
    if several:
        raise ValueError("The audit requires one label per row; these rows have lists of labels.")
    negative = find_negative(names, negative)
    labels, features = np.array(rows["label"][:]), features_of(rows, extra)
    groups = np.unique(_texts(rows), return_inverse=True)[1]
    if groups.max() + 1 < FOLDS:
        raise ValueError(f"The split {split!r} has {groups.max() + 1} posts; cross-validation needs {FOLDS} or more.")
    targets = {"which relation": labels}
    if negative is not None:
        targets = {f"relation or {negative}": (labels != names.index(negative)).astype(int), **targets}
    found = {target: guess_labels(features, values, groups, seed) for target, values in targets.items()}
    return {
        "split": split,
        "rows": len(labels),
        "targets": found,
        "noteworthy": _noteworthy(found),
        "shared": {other: _shared(rows, dataset[other]) for other in dataset if other != split},
    }


def _noteworthy(targets: Mapping[str, Any]) -> list[str]:
    features = [feature for target in targets.values() for feature in target["features"]]
    names = [
        feature["feature"]
        for feature in features
        if feature["gain"]["low"] > NOTEWORTHY_GAIN or feature.get("area", {"low": 0})["low"] > NOTEWORTHY_AREA
    ]
    return list(dict.fromkeys(names))


def _shared(one: Dataset, two: Dataset) -> dict[str, int]:
    """How many rows of the second split have a text, an image or an entity pair of the first."""
    texts, pairs = set(_texts(one)), set(_pairs(one))
    images = {identity for row in undecoded(one) for identity in image_identities(row)}
    return {
        "rows": len(two),
        "texts": sum(text in texts for text in _texts(two)),
        "pairs": sum(pair in pairs for pair in _pairs(two)),
        "images": sum(not images.isdisjoint(image_identities(row)) for row in undecoded(two)),
    }


def _texts(dataset: Dataset) -> list[str]:
    return [" ".join(text.lower().split()) for text in texts_of(dataset)]


def _pairs(dataset: Dataset) -> list[tuple[str, ...]]:
    pairs = []
    for row in undecoded(dataset):
        text, spans, _ = text_and_spans(row, "row")
        pairs.append(tuple(sorted(text[start:end].lower() for start, end in spans)))
    return pairs

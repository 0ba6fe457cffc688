"""How well cheap classifiers guess labels from features, by cross-validation over groups of rows."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from .bootstrap import percentile_interval, resampled_sums, sample_weights
from .roc import ranks_of, weighted_area
from .score_counts import sum_by_group

FOLDS = 5
TREES = 200
AREA_ROUNDS = 200


def guess_labels(
    features: Mapping[str, np.ndarray], target: np.ndarray, groups: np.ndarray, seed: int
) -> dict[str, Any]:
    r"""
    Guesses labels with a random forest from all features, and with a small decision tree from each feature alone.

    Args:
        features: `(rows,)` each.
        target: `(rows,)`, the labels to guess.
        groups: `(rows,)`, ids from 0; the rows of a group are always in the same fold.
        seed: Seed of folds, forest and bootstrap.

    Returns:
        `majority`: the accuracy of the most frequent label; `accuracy` and `gain` over the majority, and of two labels
        the `area` under the ROC curve, of the forest; and the same of each feature in `features`, best first.
    """
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import GroupKFold
    from sklearn.tree import DecisionTreeClassifier

    target = np.unique(target, return_inverse=True)[1]  # only the labels that occur
    table = np.stack([*features.values()], axis=1)
    folds = list(GroupKFold(FOLDS, shuffle=True, random_state=seed).split(target, groups=groups))
    majority = np.zeros(len(target), dtype=int)
    for train, test in folds:
        majority[test] = np.bincount(target[train]).argmax()
    forest = RandomForestClassifier(TREES, min_samples_leaf=5, random_state=seed, n_jobs=-1)
    tree = DecisionTreeClassifier(max_leaf_nodes=8, min_samples_leaf=10, random_state=seed)

    def scores(model: Any, columns: np.ndarray) -> dict[str, Any]:
        probabilities = _cross_validated(model, columns, target, folds)
        found = _gain(probabilities.argmax(axis=1) == target, majority == target, groups, seed)
        if len(np.unique(target)) == 2:
            found["area"] = area_with_interval(probabilities[:, 1], target, groups, seed)
        return found

    alone = [{"feature": name, **scores(tree, table[:, [i]])} for i, name in enumerate(features)]
    return {
        "majority": float((majority == target).mean()),
        **scores(forest, table),
        "features": sorted(alone, key=lambda one: (-one["accuracy"], -one.get("area", {"value": 0})["value"])),
    }


def area_with_interval(scores: np.ndarray, target: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, float]:
    r"""
    The area under the ROC curve with its 95 % interval, see `area_under_roc`.

    Args:
        scores: `(rows,)`.
        target: `(rows,)`, 0 or 1.
        groups: `(rows,)`, ids from 0, the units of the bootstrap.
        seed: Seed of the bootstrap.

    Returns:
        `value`, and the bounds `low` and `high` of the interval.
    """
    chunks = sample_weights(groups.max() + 1, AREA_ROUNDS, seed)
    ranks = ranks_of(scores)
    samples = np.array([weighted_area(ranks, target, weights[groups]) for chunk in chunks for weights in chunk])
    low, high = percentile_interval(samples[~np.isnan(samples)])  # the area of a sample with one label is undefined
    return {"value": weighted_area(ranks, target, np.ones(len(target))), "low": low, "high": high}


def _cross_validated(
    model: Any, table: np.ndarray, target: np.ndarray, folds: list[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """`(rows, classes)`: the probabilities that a model predicts for rows it was not trained on."""
    probabilities = np.zeros((len(target), target.max() + 1))
    for train, test in folds:
        model.fit(table[train], target[train])
        probabilities[np.ix_(test, model.classes_)] = model.predict_proba(table[test])
    return probabilities


def _gain(correct: np.ndarray, majority_correct: np.ndarray, groups: np.ndarray, seed: int) -> dict[str, Any]:
    difference = correct.astype(int) - majority_correct
    counts = np.stack([difference, np.ones_like(difference)], axis=1)
    sums = resampled_sums(sum_by_group(counts, groups), seed=seed)
    low, high = percentile_interval(sums[:, 0] / sums[:, 1])
    return {"accuracy": float(correct.mean()), "gain": {"value": float(difference.mean()), "low": low, "high": high}}

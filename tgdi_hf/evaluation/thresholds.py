"""Decision thresholds of a multi-label model, chosen by F1."""

import numpy as np
from numpy.typing import ArrayLike

from .score_counts import precision_recall_f1


def best_thresholds(probabilities: ArrayLike, references: ArrayLike) -> list[float]:
    r"""
    The decision threshold with the best F1 for each relation. Choose thresholds on the validation split, never on test,
    and save them with the model: `model.config.decision_thresholds = best_thresholds(…)`.

    Args:
        probabilities: `(rows, L)`, predicted by a multi-label model.
        references: `(rows, L)`, true where the relation holds.

    Returns:
        L numbers between 0 and 1, both excluded: the midpoint between the lowest accepted probability and the next one
        below it; 0.5 for a relation without rows.

    Raises:
        ValueError: Arrays of other shapes, values that are not probabilities (such as logits or NaN), or references
            other than true and false.
    """
    scores, holds = _checked(probabilities, references)
    # The configuration refuses 1 as a threshold, so that a probability of 1 counts as the number below it.
    scores = np.minimum(scores, np.nextafter(1, 0))
    return [_best_threshold(*of_relation) for of_relation in zip(scores.T, holds.T)]


def _best_threshold(scores: np.ndarray, holds: np.ndarray) -> float:
    """For one relation, from `(rows,)` probabilities and true labels."""
    order = np.argsort(-scores, kind="stable")
    ranked, correct = scores[order], np.cumsum(holds[order])
    # Equal scores are accepted together or not at all.
    ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
    ends = ends[ranked[ends] > 0]  # no threshold above 0 accepts a probability of 0
    if not holds.any() or not ends.size:
        return 0.5
    f1 = precision_recall_f1(correct[ends], ends + 1, np.full_like(ends, holds.sum()))[:, 2]
    last = ends[f1.argmax()]
    below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
    middle = (ranked[last] + below) / 2
    return float(middle if middle > below else ranked[last])  # the two may be neighbouring floats


def _checked(probabilities: ArrayLike, references: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as `(rows, L)`, floats and booleans."""
    scores, holds = _as_floats("probabilities", probabilities), _as_floats("references", references)
    if scores.ndim != 2 or scores.shape != holds.shape:
        raise ValueError(
            f"`probabilities` has shape {scores.shape} and `references` {holds.shape}; expected (rows, L) for both, "
            "one column per relation."
        )
    if (wrong := ~((scores >= 0) & (scores <= 1))).any():  # includes NaN
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"`probabilities` has {scores[row, column]} in row {row}, column {column}; expected numbers from 0 to 1. "
            "Convert logits to probabilities with the sigmoid."
        )
    if (wrong := (holds != 0) & (holds != 1)).any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"`references` has {holds[row, column]} in row {row}, column {column}; expected true (1) where the "
            "relation holds and false (0) where it does not."
        )
    return scores, holds.astype(bool)


def _as_floats(argument: str, values: ArrayLike) -> np.ndarray:
    try:
        return np.asarray(values, dtype=float)
    except (TypeError, ValueError) as error:
        raise ValueError(f"`{argument}` is not an array of numbers with one row per entity pair: {error}") from None


__all__ = ["best_thresholds"]

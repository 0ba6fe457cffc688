"""Accuracy, precision, recall and F1 from counts of rows: their one home."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

SCORES = ("accuracy", "precision", "recall", "f1")


def precision_recall_f1(
    correct: ArrayLike, predicted: ArrayLike, support: ArrayLike, undefined: float = 0.0
) -> np.ndarray:
    r"""
    Precision, recall and F1 (the paper's Eq. 18 to 20); F1 is computed from the counts, not from the other two.

    Args:
        correct: `(...)`, the number of correctly predicted rows.
        predicted: `(...)`, the number of predicted rows.
        support: `(...)`, the number of rows with the label.
        undefined: The value of a score whose denominator is 0.

    Returns:
        `(..., 3)`, from 0 to 1.
    """
    correct, predicted, support = (np.asarray(counts, dtype=float) for counts in (correct, predicted, support))
    ratios = (correct, predicted), (correct, support), (2 * correct, predicted + support)
    return np.stack([_ratio(numerator, denominator, undefined) for numerator, denominator in ratios], axis=-1)


def _ratio(numerator: np.ndarray, denominator: np.ndarray, undefined: float) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full_like(numerator, undefined), where=denominator > 0)


def row_counts(predictions: np.ndarray, labels: np.ndarray, negative: int | None) -> np.ndarray:
    r"""
    The contribution of each row to the micro-averaged scores.

    Args:
        predictions: `(rows,)`, predicted ids.
        labels: `(rows,)`, true ids.
        negative: The id of the label that stands for no relation; `None` if every label is a relation.

    Returns:
        `(rows, 5)`: 1; 1 if the prediction is correct; 1 if it is correct and a relation; 1 if a relation is predicted;
        1 if the true label is a relation.
    """
    right, predicted, real = predictions == labels, predictions != negative, labels != negative
    return np.stack([np.ones_like(right), right, right & real, predicted, real], axis=-1).astype(np.int64)


def micro_scores(counts: ArrayLike) -> np.ndarray:
    r"""
    Accuracy, and micro precision, recall and F1 without the label that stands for no relation.

    Args:
        counts: `(..., 5)`, from `row_counts`, summed over rows.

    Returns:
        `(..., 4)`, in the order of `SCORES`, from 0 to 1; 0 where the denominator is 0.
    """
    rows, right, found, predicted, real = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    accuracy = _ratio(right, rows, 0.0)
    return np.concatenate([accuracy[..., None], precision_recall_f1(found, predicted, real)], axis=-1)


def relation_counts(predictions: np.ndarray, labels: np.ndarray, num_labels: int) -> np.ndarray:
    r"""
    The contribution of each row to the scores of each relation.

    Args:
        predictions: `(rows,)`, predicted ids.
        labels: `(rows,)`, true ids.
        num_labels: L, the number of labels.

    Returns:
        `(rows, L, 3)`: 1 if the relation is correctly predicted; if it is predicted; if it is the true label.
    """
    predicted, real = (ids[:, None] == np.arange(num_labels) for ids in (predictions, labels))
    return np.stack([predicted & real, predicted, real], axis=-1).astype(np.int32)


def relation_f1(counts: ArrayLike) -> np.ndarray:
    r"""
    The F1 of each relation.

    Args:
        counts: `(..., 3)`, from `relation_counts`, summed over rows.

    Returns:
        `(...)`; NaN for a relation without rows that is never predicted.
    """
    found, predicted, real = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    return precision_recall_f1(found, predicted, real, undefined=np.nan)[..., 2]


def sum_by_group(counts: np.ndarray, groups: Sequence[Any] | np.ndarray | None) -> np.ndarray:
    r"""
    Sums counts over the rows of each group. Rows of one post are not independent samples.

    Args:
        counts: `(rows, ...)`, from `row_counts` or `relation_counts`.
        groups: `(rows,)`, the group of each row, such as its post; `None` makes each row a group of its own.

    Returns:
        `(groups, ...)`.
    """
    if groups is None:
        return counts
    names, places = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((len(names), *counts.shape[1:]), dtype=counts.dtype)
    np.add.at(sums, places, counts)
    return sums

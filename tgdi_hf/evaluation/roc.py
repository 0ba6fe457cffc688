"""The area under the ROC curve."""

import numpy as np


def area_under_roc(scores: np.ndarray, target: np.ndarray) -> float:
    r"""
    The probability that a row with label 1 has a higher score than one with label 0; a tie counts half.

    Args:
        scores: `(rows,)`.
        target: `(rows,)`, 0 or 1, or booleans.

    Returns:
        The area, from 0 to 1; NaN if all rows have the same label.
    """
    return weighted_area(ranks_of(scores), target, np.ones(len(target)))


def ranks_of(scores: np.ndarray) -> np.ndarray:
    """`(rows,)`: ranks from 0; equal scores have equal ranks."""
    return np.unique(scores, return_inverse=True)[1]


def weighted_area(ranks: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    """As `area_under_roc`, from `ranks_of` the scores; a row with weight w `(rows,)` counts as w rows."""
    ones, zeros = (np.bincount(ranks, weights * (target == label)) for label in (1, 0))
    below = np.cumsum(zeros) - zeros / 2  # a tie counts half
    return float(ones @ below / (ones.sum() * zeros.sum() or np.nan))

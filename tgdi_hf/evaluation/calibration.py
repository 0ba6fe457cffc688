"""Calibration: how well the confidence of predictions agrees with their accuracy."""

from typing import TypedDict

import numpy as np


class CalibrationBin(TypedDict):
    """Mean confidence and accuracy of the rows in one bin of confidence."""

    confidence: float
    accuracy: float
    rows: int


class Calibration(TypedDict):
    """The expected calibration error, and the bins behind it."""

    ece: float
    bins: list[CalibrationBin]


def calibration(confidences: np.ndarray, correct: np.ndarray, num_bins: int = 15) -> Calibration:
    r"""
    The expected calibration error and the reliability diagram.

    Args:
        confidences: `(rows,)`, the probability of each prediction.
        correct: `(rows,)`, whether the prediction is correct.
        num_bins: Number of bins of equal width from 0 to 1.

    Returns:
        `ece`: the mean distance between confidence and accuracy over the bins, weighted by rows; `bins`: those that
        hold at least one row.
    """
    places = np.minimum((confidences * num_bins).astype(int), num_bins - 1)
    bins: list[CalibrationBin] = []
    for place in range(num_bins):
        inside = places == place
        if inside.any():
            bins.append(
                {
                    "confidence": float(confidences[inside].mean()),
                    "accuracy": float(correct[inside].mean()),
                    "rows": int(inside.sum()),
                }
            )
    gaps = [one["rows"] * abs(one["confidence"] - one["accuracy"]) for one in bins]
    return {"ece": sum(gaps) / len(confidences), "bins": bins}

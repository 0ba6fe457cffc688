"""How sure one can be of a score: intervals, comparisons of two models, calibration."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

ROUNDS = 1000
WEIGHTS_AT_A_TIME = 20_000_000  # counts of a bootstrap that are in memory together, 160 MB


def scores_of(counts: np.ndarray) -> np.ndarray:
    r"""
    Accuracy, and micro precision, recall and F1 without `None`.

    Args:
        counts: `(..., 5)`, as `row_counts` has them, summed over rows.

    Returns:
        `(..., 4)`, from 0 to 1; 0 where there is nothing to divide by.
    """
    rows, right, found, predicted, real = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    parts = (right, rows), (found, predicted), (found, real), (2 * found, predicted + real)
    return np.stack([np.divide(a, b, out=np.zeros_like(a), where=b > 0) for a, b in parts], axis=-1)


def row_counts(predictions: np.ndarray, labels: np.ndarray, negative: int | None) -> np.ndarray:
    r"""
    What every row adds to the scores.

    Args:
        predictions, labels: `(rows,)` ids.
        negative: The id of `None`.

    Returns:
        `(rows, 5)`: one; whether it is right; whether it is a relation that was found; that is predicted; that is real.
    """
    right, predicted, real = predictions == labels, predictions != negative, labels != negative
    return np.stack([np.ones_like(right), right, right & real, predicted, real], axis=-1).astype(np.int64)


def relation_counts(predictions: np.ndarray, labels: np.ndarray, size: int) -> np.ndarray:
    r"""
    What every row adds to the scores of each relation.

    Args:
        predictions, labels: `(rows,)` ids.
        size: How many relations there are.

    Returns:
        `(rows, relations, 3)`: whether it is found; predicted; real.
    """
    predicted, real = (ids[:, None] == np.arange(size) for ids in (predictions, labels))
    return np.stack([predicted & real, predicted, real], axis=-1).astype(np.int32)


def f1_of(counts: np.ndarray) -> np.ndarray:
    r"""
    Args:
        counts: `(..., 3)`, as `relation_counts` has them, summed over rows.

    Returns:
        `(...)`: the F1 of each relation; NaN of one that has no row and is never predicted.
    """
    found, predicted, real = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    there = predicted + real > 0
    return np.divide(2 * found, predicted + real, out=np.full_like(found, np.nan), where=there)


def summed_by(counts: np.ndarray, groups: Sequence[Any] | None) -> np.ndarray:
    r"""
    Counts of rows that belong together, added up: rows of one post are no independent samples.

    Args:
        counts: `(rows, ...)`, see `row_counts`.
        groups: Of every row; `None` leaves each by itself.

    Returns:
        `(groups, ...)`.
    """
    if groups is None:
        return counts
    names, places = np.unique(np.asarray(groups), return_inverse=True)
    sums = np.zeros((len(names), *counts.shape[1:]), dtype=counts.dtype)
    np.add.at(sums, places, counts)
    return sums


def bootstrap(counts: np.ndarray, rounds: int = ROUNDS, seed: int = 0) -> np.ndarray:
    r"""
    Scores of samples of the rows, or of groups of them, drawn with replacement, as many as there are.

    Args:
        counts: `(rows, 5)`, or `(rows, models, 5)` for models that are scored on the same samples; see `summed_by`.
        rounds: How many samples.
        seed: Of the samples.

    Returns:
        `(rounds, 4)`, or `(rounds, models, 4)`.
    """
    return scores_of(resampled_sums(counts, rounds, seed))


def resampled_sums(counts: np.ndarray, rounds: int = ROUNDS, seed: int = 0) -> np.ndarray:
    """The sums over rows, `(rounds, ...)`, in samples of the rows of `counts`, `(rows, ...)`; see `bootstrap`."""
    flat = counts.reshape(len(counts), -1).astype(float)  # whole numbers still, but BLAS does not multiply integers
    sums = np.concatenate([weights.astype(float) @ flat for weights in sample_weights(len(counts), rounds, seed)])
    return sums.reshape(rounds, *counts.shape[1:])


def sample_weights(rows: int, rounds: int, seed: int) -> Iterator[np.ndarray]:
    """How often each row is in each sample, some samples at a time."""
    generator, size = np.random.default_rng(seed), max(WEIGHTS_AT_A_TIME // max(rows, 1), 1)
    for start in range(0, rounds, size):
        yield generator.multinomial(rows, np.full(rows, 1 / rows), size=min(size, rounds - start))


def interval(values: np.ndarray, share: float = 0.95) -> tuple[float, float]:
    """The middle `share` of the values."""
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2], axis=0)
    return float(low), float(high)


def paired_difference(
    one: np.ndarray, two: np.ndarray, rounds: int = ROUNDS, seed: int = 0
) -> dict[str, float | list[float]]:
    r"""
    By how much the F1 of the second model is above that of the first, on the same rows.

    Args:
        one, two: `(rows, 5)` of each, see `row_counts` and `summed_by`.
        rounds, seed: See `bootstrap`.

    Returns:
        `difference`, its 95 % `interval`, and `p`: twice the share of samples in which the difference has the other
        sign or is none, what was measured counted among them; at most 1.
    """
    difference = float(np.subtract(*scores_of(np.stack([two.sum(0), one.sum(0)]))[:, 3]))
    samples = bootstrap(np.stack([one, two], axis=1), rounds, seed)[:, :, 3]
    differences = samples[:, 1] - samples[:, 0]
    other = np.sum(differences <= 0) if difference > 0 else np.sum(differences >= 0)
    p = min(2 * (int(other) + 1) / (rounds + 1), 1.0)
    return {"difference": difference, "interval": [*interval(differences)], "p": p}


def mcnemar(one_right: np.ndarray, two_right: np.ndarray) -> dict[str, float]:
    r"""
    McNemar's exact test: of the rows on which two models differ, are those that one gets right more than chance says?

    Returns:
        `only_one` and `only_two`, the rows that one model alone gets right; and `p`, two-sided.
    """
    only_one, only_two = int((one_right & ~two_right).sum()), int((two_right & ~one_right).sum())
    total, ways, tail = only_one + only_two, 1, 0
    for k in range(min(only_one, only_two) + 1):
        tail += ways  # of choosing k
        ways = ways * (total - k) // (k + 1)
    return {"only_one": only_one, "only_two": only_two, "p": min(2 * tail / 2**total, 1.0)}


def calibration(confidences: np.ndarray, right: np.ndarray, bins: int = 15) -> dict[str, Any]:
    r"""
    Does a model that says 0.8 get eight of ten right?

    Args:
        confidences: `(rows,)`, the probability of each answer.
        right: `(rows,)`, whether it is right.
        bins: Of equal width, from 0 to 1.

    Returns:
        `ece`, the expected calibration error: the mean distance of confidence and accuracy over bins, weighed by rows;
        and `bins` that are not empty, with `confidence`, `accuracy` and `rows` each.
    """
    places = np.minimum((confidences * bins).astype(int), bins - 1)
    found = []
    for place in range(bins):
        inside = places == place
        if inside.any():
            means = {"confidence": float(confidences[inside].mean()), "accuracy": float(right[inside].mean())}
            found.append({**means, "rows": int(inside.sum())})
    gaps: Sequence[float] = [one["rows"] * abs(one["confidence"] - one["accuracy"]) for one in found]
    return {"ece": sum(gaps) / len(confidences), "bins": found}

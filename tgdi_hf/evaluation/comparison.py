"""Significance tests for two models that were scored on the same rows."""

from collections.abc import Sequence
from typing import Any, TypedDict

import numpy as np

from .bootstrap import ROUNDS, bootstrap, percentile_interval
from .score_counts import micro_scores, row_counts, sum_by_group


class F1Difference(TypedDict):
    """The F1 of the second model minus that of the first, with its 95 % interval and p-value."""

    difference: float
    interval: list[float]
    p: float


class McNemarTest(TypedDict):
    """The rows that only the first or only the second model predicts correctly, and the two-sided p-value."""

    only_one: int
    only_two: int
    p: float


class Comparison(TypedDict):
    """Both tests of `compare_predictions`."""

    f1: F1Difference
    mcnemar: McNemarTest


def compare_predictions(
    one: np.ndarray,
    two: np.ndarray,
    labels: np.ndarray,
    negative: int | None,
    posts: Sequence[Any] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> Comparison:
    r"""
    Compares the predictions of two models for the same rows.

    Args:
        one: `(rows,)`, ids predicted by the first model.
        two: `(rows,)`, ids predicted by the second model.
        labels: `(rows,)`, true ids.
        negative: The id of the label that stands for no relation; `None` if every label is a relation.
        posts: `(rows,)`, the post of each row; by default each row is a post of its own.
        rounds: Number of bootstrap samples.
        seed: Seed of the bootstrap.

    Returns:
        `f1`: see `paired_difference`, over posts; `mcnemar`: see `mcnemar`, over rows.
    """
    counts, other = (sum_by_group(row_counts(ids, labels, negative), posts) for ids in (one, two))
    return {"f1": paired_difference(counts, other, rounds, seed), "mcnemar": mcnemar(one == labels, two == labels)}


def paired_difference(one: np.ndarray, two: np.ndarray, rounds: int = ROUNDS, seed: int = 0) -> F1Difference:
    r"""
    Tests the difference in F1 between two models by paired bootstrap.

    Args:
        one: `(groups, 5)`, counts of the first model; see `row_counts` and `sum_by_group`.
        two: `(groups, 5)`, counts of the second model.
        rounds: Number of bootstrap samples.
        seed: Seed of the bootstrap.

    Returns:
        `difference`: the F1 of the second model minus that of the first; its 95 % `interval`; and `p`: twice the share
        of samples in which the difference is 0 or has the other sign, the measured one included; at most 1.
    """
    difference = float(np.subtract(*micro_scores(np.stack([two.sum(0), one.sum(0)]))[:, 3]))
    samples = bootstrap(np.stack([one, two], axis=1), rounds, seed)[:, :, 3]
    differences = samples[:, 1] - samples[:, 0]
    other = np.sum(differences <= 0) if difference > 0 else np.sum(differences >= 0)
    p = min(2 * (int(other) + 1) / (rounds + 1), 1.0)
    return {"difference": difference, "interval": [*percentile_interval(differences)], "p": p}


def mcnemar(one_right: np.ndarray, two_right: np.ndarray) -> McNemarTest:
    r"""
    McNemar's exact test on the rows that only one of two models predicts correctly.

    Args:
        one_right: `(rows,)`, whether the first model is correct.
        two_right: `(rows,)`, whether the second model is correct.
    """
    only_one, only_two = int((one_right & ~two_right).sum()), int((two_right & ~one_right).sum())
    total, ways, tail = only_one + only_two, 1, 0
    for k in range(min(only_one, only_two) + 1):
        tail += ways  # total choose k
        ways = ways * (total - k) // (k + 1)
    return {"only_one": only_one, "only_two": only_two, "p": min(2 * tail / 2**total, 1.0)}

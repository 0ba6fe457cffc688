"""Confidence intervals by bootstrap over groups of rows."""

from collections.abc import Iterator

import numpy as np

from .score_counts import micro_scores

ROUNDS = 1000
WEIGHTS_AT_A_TIME = 20_000_000  # sample weights held in memory at once, 160 MB


def bootstrap(counts: np.ndarray, rounds: int = ROUNDS, seed: int = 0) -> np.ndarray:
    r"""
    The micro-averaged scores of bootstrap samples: as many groups as in the data, drawn with replacement.

    Args:
        counts: `(groups, 5)`, or `(groups, models, 5)` for models that are scored on the same samples; see
            `row_counts` and `sum_by_group`.
        rounds: Number of samples.
        seed: Seed of the random draws.

    Returns:
        `(rounds, 4)`, or `(rounds, models, 4)`.
    """
    return micro_scores(resampled_sums(counts, rounds, seed))


def resampled_sums(counts: np.ndarray, rounds: int = ROUNDS, seed: int = 0) -> np.ndarray:
    """The sums of `counts`, `(groups, ...)`, over the groups of each bootstrap sample, `(rounds, ...)`."""
    flat = counts.reshape(len(counts), -1).astype(float)  # still whole numbers, but BLAS does not multiply integers
    sums = np.concatenate([weights.astype(float) @ flat for weights in sample_weights(len(counts), rounds, seed)])
    return sums.reshape(rounds, *counts.shape[1:])


def sample_weights(groups: int, rounds: int, seed: int) -> Iterator[np.ndarray]:
    """How often each group occurs in each bootstrap sample, `(samples, groups)`, in chunks that fit into memory."""
    generator, size = np.random.default_rng(seed), max(WEIGHTS_AT_A_TIME // max(groups, 1), 1)
    for start in range(0, rounds, size):
        yield generator.multinomial(groups, np.full(groups, 1 / groups), size=min(size, rounds - start))


def percentile_interval(values: np.ndarray, share: float = 0.95) -> tuple[float, float]:
    """The interval that holds the middle `share` of the values."""
    low, high = np.quantile(values, [(1 - share) / 2, (1 + share) / 2], axis=0)
    return float(low), float(high)

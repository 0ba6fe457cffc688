"""The part of a report that is computed from probabilities and labels alone."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..modeling.negative_label import NEGATIVE, as_spelled
from .bootstrap import ROUNDS, percentile_interval, resampled_sums
from .calibration import calibration
from .relation_scores import relation_scores
from .report_groups import MIN_ROWS, group_scores, scores_with_intervals
from .score_counts import relation_counts, relation_f1, row_counts, sum_by_group

# The relations of the paper's Table 3.
PAPER_CATEGORIES = (
    "/per/per/peer",
    "/per/org/member_of",
    "/loc/loc/contain",
    "/per/misc/present_in",
    "/org/loc/locate_at",
    "/per/loc/place_of_residence",
)


def report_of(
    probabilities: np.ndarray,
    labels: np.ndarray,
    names: Sequence[str],
    columns: Mapping[str, Sequence[Any]] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
    posts: Sequence[Any] | None = None,
    negative: str | None = NEGATIVE,
) -> dict[str, Any]:
    r"""
    Scores predictions, with intervals, by relation and by group of posts.

    Args:
        probabilities: `(rows, L)`.
        labels: `(rows,)`, true ids.
        names: The relations in the order of their ids.
        columns: `(rows,)` each: whether a row has an `image` and a `caption`, and its `relevance`.
        rounds: Number of bootstrap samples.
        seed: Seed of the bootstrap.
        posts: `(rows,)`, the post of each row; by default each row is a post of its own.
        negative: The label that stands for no relation, called `None` below; `None` if every label is a relation.

    Returns:
        - `rows`; `scores`: `accuracy`, and micro `precision`, `recall` and `f1` without `None`, each with its 95 %
          interval by bootstrap over posts;
        - `macro_f1`, with its 95 % interval `macro_f1_interval`: the mean F1 of the relations other than `None` that
          have a row or are predicted for one; other relations are left out of the mean;
        - `paper_categories`: the relations of the paper's Table 3; `per_relation`: all relations; both with
          `f1_interval` for relations with at least 30 rows;
        - `confusion`: `names` and a `matrix`, with a row per true label;
        - `groups`: the scores by `relevance` (cut at 0.001 and 0.1; the relevance that the data lists for the image of
          a post, whether or not its file exists), by `image` and by `caption`; a score whose denominator is 0 is
          `None`, and groups of fewer than 30 rows have no intervals;
        - `calibration`: see `calibration`.
    """
    negative = as_spelled(negative, names)
    none = None if negative is None else list(names).index(negative)
    predictions = probabilities.argmax(axis=1)
    scores = relation_scores(predictions, labels, names, negative)
    per_relation = scores["per_relation"]
    matrix = np.zeros((len(names), len(names)), dtype=int)
    np.add.at(matrix, (labels, predictions), 1)

    counts = sum_by_group(relation_counts(predictions, labels, len(names)), posts)
    samples = relation_f1(resampled_sums(counts, rounds, seed))  # (rounds, L)
    for of_relation, values in zip(per_relation.values(), samples.T):
        enough = of_relation["support"] >= MIN_ROWS
        of_relation["f1_interval"] = [*percentile_interval(values[~np.isnan(values)])] if enough else None
    relations = [i for i in range(len(names)) if i != none]
    macro_samples = np.array([_mean_of_defined(values) for values in samples[:, relations]])

    micro_counts = row_counts(predictions, labels, none)
    return {
        "rows": len(labels),
        "scores": scores_with_intervals(micro_counts, rounds, seed, posts),
        "macro_f1": _mean_of_defined(relation_f1(counts.sum(axis=0))[relations]),
        "macro_f1_interval": [*percentile_interval(macro_samples)],
        "paper_categories": {name: per_relation[name] for name in PAPER_CATEGORIES if name in per_relation},
        "per_relation": per_relation,
        "confusion": {"names": list(names), "matrix": matrix.tolist()},
        "groups": group_scores(micro_counts, columns or {}, rounds, seed, posts),
        "calibration": calibration(probabilities.max(axis=1), predictions == labels),
    }


def _mean_of_defined(values: np.ndarray) -> float:
    """The mean of the values that are not NaN; 0 if all are."""
    return float(values[~np.isnan(values)].mean()) if not np.isnan(values).all() else 0.0

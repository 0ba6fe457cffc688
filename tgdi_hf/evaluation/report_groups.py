"""Scores of groups of posts: with and without an image or a caption, and by relevance of the image."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from ..data.dataset_columns import undecoded
from ..data.perturbed import PerturbedDataset
from .bootstrap import bootstrap, percentile_interval
from .score_counts import SCORES, micro_scores, sum_by_group

# MNRE's published image-text correlations pile up at zero: half of them are below 0.001, a tenth above 0.12.
RELEVANCE_CUTS = (0.001, 0.1)
MIN_ROWS = 30  # an interval over fewer rows would be meaningless


def grouping_columns(dataset: Dataset, control: PerturbedDataset | None = None) -> dict[str, list[Any]]:
    """The columns by which posts are grouped, where the data has them, after the perturbation by `control`."""
    columns: dict[str, list[Any]] = {}
    if "relevance" in dataset.features:
        relevance = dataset["relevance"][:]
        if control is not None and control.changes("image"):
            for place in control.changed:
                relevance[place] = None  # it describes the original image
        columns["relevance"] = relevance
    for name in ("image", "caption"):
        if name in dataset.features:
            present = np.array([bool(value) for value in undecoded(dataset)[name]])
            if control is not None and control.removes(name):
                present[control.changed] = False
            columns[name] = present.tolist()
    return columns


def group_scores(
    counts: np.ndarray, columns: Mapping[str, Sequence[Any]], rounds: int, seed: int, posts: Sequence[Any] | None
) -> dict[str, dict[str, Any]]:
    r"""
    Args:
        counts: `(rows, 5)`, from `row_counts`.
        columns: `(rows,)` each, from `grouping_columns`.
        rounds: Number of bootstrap samples.
        seed: Seed of the bootstrap.
        posts: `(rows,)`, the post of each row; `None` makes each row a post of its own.

    Returns:
        From the name of a column to its groups that have rows, and from these to their number of `rows` and scores.
    """
    found: dict[str, dict[str, Any]] = {}
    for name, values in columns.items():
        found[name] = {}
        for group, mask in _masks(name, values).items():
            if mask.any():
                members = None if posts is None else [posts[i] for i in np.flatnonzero(mask).tolist()]
                found[name][group] = _scores_of_group(counts[mask], rounds, seed, members)
    return found


def scores_with_intervals(counts: np.ndarray, rounds: int, seed: int, posts: Sequence[Any] | None) -> dict[str, Any]:
    """Each score with its 95 % interval by bootstrap over posts; arguments as in `group_scores`."""
    values, samples = micro_scores(counts.sum(axis=0)), bootstrap(sum_by_group(counts, posts), rounds, seed)
    found = {}
    for i, name in enumerate(SCORES):
        low, high = percentile_interval(samples[:, i])
        found[name] = {"value": float(values[i]), "low": low, "high": high}
    return found


def _scores_of_group(counts: np.ndarray, rounds: int, seed: int, posts: Sequence[Any] | None) -> dict[str, Any]:
    found = scores_with_intervals(counts, rounds, seed, posts)
    if len(counts) < MIN_ROWS:
        found = {name: {**score, "low": None, "high": None} for name, score in found.items()}
    predicted, real = counts[:, 3:].sum(axis=0)
    for name, denominator in (("precision", predicted), ("recall", real), ("f1", predicted + real)):
        if not denominator:
            found[name] = dict.fromkeys(("value", "low", "high"))
    return {"rows": len(counts), **found}


def _masks(name: str, values: Sequence[Any]) -> dict[str, np.ndarray]:
    if name != "relevance":
        present = np.array([bool(value) for value in values])
        return {"present": present, "absent": ~present}
    known = np.array([np.nan if value is None else value for value in values], dtype=float)
    low, high = RELEVANCE_CUTS
    return {
        f"below {low}": known < low,
        f"{low} to {high}": (known >= low) & (known < high),
        f"from {high}": known >= high,
        "unknown": np.isnan(known),
    }

"""How much the predictions of a model depend on the order of head and tail: as listed, swapped, and unknown."""

from collections.abc import Sequence
from operator import ge, ne
from typing import Any

import numpy as np
import torch

from ..data.dataset_columns import spans_of
from ..data.entity_order import fold_inverse_probabilities
from ..modeling.negative_label import negative_of
from ..processing.entity_order import joint_scores, symmetric_relations, tail_first_bias
from .score_counts import micro_scores, row_counts


def order_sensitivity(
    listed: np.ndarray, swapped: np.ndarray, labels: np.ndarray, names: Sequence[str], config: Any, rows: Any
) -> dict[str, Any]:
    r"""
    The share of rows without relation for which a relation is predicted, in either order, and the scores when the order
    is unknown.

    Args:
        listed: `(rows, L)`, or with inverse relations `(rows, L + I)`: probabilities for the pairs as listed.
        swapped: The same for the pairs with head and tail swapped.
        labels: `(rows,)`, true ids.
        names: The labels in the order of their ids, one of which stands for no relation.
        config: The model's configuration.
        rows: The scored rows as the corpus lists them.

    Returns:
        `rows`: the number of rows without relation; `listed` and `swapped`: the share of them for which a relation is
        predicted in that order; `order_unknown`: see `scores_with_unknown_order`. Empty if every row has a relation.
    """
    name = negative_of(config, names)
    assert name is not None, "the order is only examined with a label that stands for no relation"
    listed, swapped = (fold_inverse_probabilities(found, names, name) for found in (listed, swapped))
    negative = names.index(name)
    unrelated = labels == negative
    if not unrelated.any():
        return {}
    given = {
        order: float((found[unrelated].argmax(axis=1) != negative).mean())
        for order, found in (("listed", listed), ("swapped", swapped))
    }
    unknown = scores_with_unknown_order(listed, swapped, labels, names, config, rows)
    return {"rows": int(unrelated.sum()), **given, "order_unknown": unknown}


def scores_with_unknown_order(
    listed: np.ndarray, swapped: np.ndarray, labels: np.ndarray, names: Sequence[str], config: Any, rows: Any
) -> dict[str, float]:
    r"""
    Scores predictions that do not know which of two entities is the head. As in the pipeline for all pairs of a post,
    the probabilities of both orders are combined by `joint_scores`. Rows whose head and tail are the same span are left
    out.

    Args:
        listed: `(rows, L)`, probabilities for the pairs as listed.
        swapped: `(rows, L)`, probabilities for the pairs with head and tail swapped.
        labels: See `order_sensitivity`.
        names: See `order_sensitivity`.
        config: See `order_sensitivity`.
        rows: See `order_sensitivity`.

    Returns:
        `unrelated_given`: the share of rows without relation for which a relation is predicted; `precision`, `recall`
        and `f1`, where a relation counts as found only in its own direction, and a symmetric one in either.
    """
    spans = list(spans_of(rows))
    distinct, tail_first = (np.array([compare(*pair) for pair in spans]) for compare in (ne, ge))
    name = negative_of(config, names)
    assert name is not None, "the order is only examined with a label that stands for no relation"
    negative = names.index(name)
    symmetric = symmetric_relations(names, getattr(config, "symmetric_relations", None))
    head_first = torch.from_numpy(np.where(tail_first[:, None], swapped, listed))
    reverse = torch.from_numpy(np.where(tail_first[:, None], listed, swapped))
    bias = tail_first_bias("auto", config)
    joint = torch.cat(joint_scores(head_first, reverse, names, bias, symmetric, name), dim=1)  # (rows, 2 L)
    best = joint.numpy().argmax(axis=1)
    predictions, wrong_direction = best % len(names), best // len(names) != tail_first
    # A relation in the wrong direction is none of the labels.
    predictions[wrong_direction & ~np.array(symmetric)[predictions] & (predictions != negative)] = len(names)
    scores = micro_scores(row_counts(predictions, labels, negative)[distinct].sum(axis=0))
    unrelated = distinct & (labels == negative)
    given = (predictions != negative)[unrelated].sum() / max(unrelated.sum(), 1)
    return {"unrelated_given": float(given), **dict(zip(("precision", "recall", "f1"), scores[1:].tolist()))}

"""What a model makes of the order of head and tail: as listed, swapped, and when it has to find it out."""

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


def direction_of(
    read: np.ndarray, of_swapped: np.ndarray, labels: np.ndarray, names: Sequence[str], config: Any, rows: Any
) -> dict[str, Any]:
    r"""
    Args:
        read, of_swapped: `(rows, L)`, or with inverse relations `(rows, L + I)`: what the model says of the pairs as
            they are listed, and with head and tail swapped.
        labels: `(rows,)`, ids.
        names: The labels in the order of their ids, one of which stands for no relation.
        config: The model's.
        rows: Those that were scored, as their dataset lists them.

    Returns:
        `rows`: how many have no relation; `listed`, `swapped`: the share of them that is given one in that order;
        `order_unknown`: see `with_order_unknown`. Empty where every row has a relation.
    """
    name = negative_of(config, names)
    listed, swapped = (fold_inverse_probabilities(found, names, name) for found in (read, of_swapped))
    negative = names.index(name)
    unrelated = labels == negative
    if not unrelated.any():
        return {}
    given = {
        order: float((found[unrelated].argmax(axis=1) != negative).mean())
        for order, found in (("listed", listed), ("swapped", swapped))
    }
    unknown = with_order_unknown(listed, swapped, labels, names, config, rows)
    return {"rows": int(unrelated.sum()), **given, "order_unknown": unknown}


def with_order_unknown(
    listed: np.ndarray, swapped: np.ndarray, labels: np.ndarray, names: Sequence[str], config: Any, rows: Any
) -> dict[str, float]:
    r"""
    Scores without a hint which of two entities is the head, by the rule that the pipeline has for all pairs of a post
    (`joint_scores`), for which both orders are read, each by itself. Rows about one span twice are left out.

    Args:
        listed, swapped: `(rows, L)`, probabilities for the pairs as they are listed, and with head and tail swapped.
        labels, names, config, rows: See `direction_of`.

    Returns:
        `unrelated_given`: the share of rows without relation that is given one; `precision`, `recall` and `f1`, where a
        relation is found only in its direction, or if it holds both ways in either.
    """
    spans = list(spans_of(rows))
    apart, tail_first = (np.array([compare(*of) for of in spans]) for compare in (ne, ge))
    name = negative_of(config, names)
    negative = names.index(name)
    symmetric = symmetric_relations(names, getattr(config, "symmetric_relations", None))
    in_text_order = np.where(tail_first[:, None], swapped, listed)
    against_it = np.where(tail_first[:, None], listed, swapped)
    orders = [torch.from_numpy(found) for found in (in_text_order, against_it)]
    bias = tail_first_bias("auto", config, [one for one in names if one != name])
    joint = torch.cat(joint_scores(*orders, names, bias, symmetric, name), dim=1)  # (rows, 2 L)
    best = joint.numpy().argmax(axis=1)
    answers, wrong_way = best % len(names), best // len(names) != tail_first
    # Found the wrong way round, it is none of the relations.
    answers[wrong_way & ~np.array(symmetric)[answers] & (answers != negative)] = len(names)
    scores = micro_scores(row_counts(answers, labels, negative)[apart].sum(axis=0))
    unrelated = apart & (labels == negative)
    given = (answers != negative)[unrelated].sum() / max(unrelated.sum(), 1)
    return {"unrelated_given": float(given), **dict(zip(("precision", "recall", "f1"), scores[1:].tolist()))}

"""Entity order: symmetric relations, the prior of the tail-first order, and joint scores of both orders of a pair."""

import math
from collections.abc import Collection, Sequence
from typing import Any

import torch

from .entity_types import types_in_label

# The symmetric relations of MNRE: the last part of their labels, in MNRE's spelling.
SYMMETRIC = ("siblings", "couple", "neighbor", "peer", "alumi", "alternate_names")
# Of the 7,744 MNRE training pairs without a relation, 36 have the tail first. If every pair were listed in both orders,
# all 7,744 of them would, and so would the 1,832 pairs with a one-way relation and the head first.
MNRE_TAIL_FIRST_BIAS = math.log((7_744 + 1_832) / 36)
PAIR_ORDERS = ("auto", "independent", "mnre")


def tail_first_bias(pairs: str | float, config: Any) -> float:
    r"""
    The correction for the prior of the tail-first order in the training data, applied when all pairs of a post are
    scored.

    MNRE lists pairs without a relation in text order, and related pairs in the direction of their relation. A model
    trained on it reads the tail-first order itself as evidence of a relation. The correction is that for a shift of
    priors: in the tail-first order, the odds of `None` are multiplied by the ratio of its share among all pairs to its
    share in the training data.

    Args:
        pairs: `"auto"` applies the correction that was counted in the model's training rows (`config.tail_first_bias`);
            none if the model was trained on both orders (`config.direction_balanced`), or if nothing was counted.
            `"independent"` applies none (0). `"mnre"` applies log(9,576 / 36) = 5.6, counted in MNRE's training split.
            A number is used as it is; larger values find fewer relations.
        config (`TGDIConfig`): The model's configuration.

    Returns:
        `float`: The value to add to the log-odds of `None` in the tail-first order.

    Raises:
        ValueError: `pairs` is neither a known rule nor a finite number.
    """
    if isinstance(pairs, int | float) and not isinstance(pairs, bool) and abs(pairs) < math.inf:
        try:
            return float(pairs)
        except OverflowError:  # integers are unbounded, also in JSON
            raise ValueError("`pairs` is too large; expected a finite number.") from None
    if pairs not in PAIR_ORDERS:
        raise ValueError(f"`pairs` is {pairs!r:.80}; expected 'auto', 'independent', 'mnre', or a finite number.")
    if pairs == "auto":
        return 0.0 if getattr(config, "direction_balanced", False) else getattr(config, "tail_first_bias", None) or 0.0
    return MNRE_TAIL_FIRST_BIAS if pairs == "mnre" else 0.0


def is_order_unknown(config: Any) -> bool:
    r"""
    Whether it is unknown how far the training data list unrelated pairs in text order: the model was not trained on
    both orders, and nobody counted. Such a model may report a relation only because its tail comes first.

    Args:
        config (`TGDIConfig`): The model's configuration.
    """
    return not config.direction_balanced and config.tail_first_bias is None


def symmetric_relations(names: Sequence[str], chosen: Collection[str] | None) -> list[bool]:
    r"""
    Finds the symmetric relations, which hold in both directions.

    Args:
        names: The relation labels.
        chosen: The symmetric ones: full labels, or the part after the last slash. The default is the symmetric
            relations of MNRE, among labels spelled like MNRE's with the same type for head and tail.

    Returns:
        For each label, whether it is symmetric.
    """
    if chosen is not None:
        return [name in chosen or name.rpartition("/")[2] in chosen for name in names]
    types = [types_in_label(name) for name in names]
    return [
        pair is not None and pair[0] == pair[1] and name.rpartition("/")[2] in SYMMETRIC
        for name, pair in zip(names, types)
    ]


def joint_scores(
    forward: torch.Tensor,
    backward: torch.Tensor,
    names: Sequence[str],
    bias: float,
    symmetric: Sequence[bool],
    negative: str | None = "None",
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""
    Combines the scores of both orders of entity pairs into one distribution per pair.

    The odds against `None` of every relation in either direction, with those of the tail-first order corrected by
    `bias`, are normalized together: o(r, first → second) = p₁(r) / p₁(None) and
    o(r, second → first) = p₂(r) / p₂(None) · exp(-bias); P(None) = 1 / (1 + Σ o). A symmetric relation counts once,
    with the mean of its odds in both orders, in which the corrected tail-first order has the weight exp(-bias) and the
    head-first order the weight 1.

    Args:
        forward, backward (`torch.Tensor`): Probabilities of the relations in head-first and in tail-first order,
            `(P, relations)`.
        names: The relation labels.
        bias: See `tail_first_bias`.
        symmetric: For each label, whether it is symmetric.
        negative: The label for no relation, called `None` above. Without one, no bias applies, and the probabilities of
            the two orders are normalized together.

    Returns:
        `tuple`: Probabilities of the relations in either direction, `(P, relations)` each. `None` and symmetric
        relations appear in both; counted once, all probabilities of a pair sum to one.
    """
    shared = torch.tensor(symmetric, device=forward.device)
    scores = torch.stack([forward, backward], dim=1)  # (P, 2, relations)
    scores = scores.clamp(min=torch.finfo(scores.dtype).tiny).log()
    none = list(names).index(negative) if negative is not None and negative in names else None
    weights = scores.new_tensor([0, 0 if none is None else -bias])  # log-weights of the two orders
    if none is not None:
        scores = scores - scores[:, :, none : none + 1] + weights[:, None]  # log-odds against None
    scores[:, 0, shared] = scores[:, :, shared].logsumexp(dim=1) - weights.logsumexp(dim=0)
    if none is not None:
        scores[:, 0, none], shared[none] = 0, True
    scores[:, 1, shared] = -torch.inf
    joint = scores.flatten(1).softmax(dim=1).unflatten(1, (2, -1))
    joint[:, 1, shared] = joint[:, 0, shared]
    joint_forward, joint_backward = joint.unbind(1)
    return joint_forward, joint_backward

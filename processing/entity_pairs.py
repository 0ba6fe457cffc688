"""From scores for both orders of two entities to one answer, and what the types of entities allow."""

import math
import re
from collections.abc import Collection, Sequence
from functools import lru_cache

import torch

from .entity_mentions import ENTITY_TYPES, type_of

# The last part of the names of relations that hold both ways, in MNRE's spelling.
SYMMETRIC = ("siblings", "couple", "neighbor", "peer", "alumi", "alternate_names")
_SIGNATURE = re.compile(r"/([^/]+)/([^/]+)/[^/]+")
# In MNRE's training rows the tail comes first in 36 of the 7,744 pairs without relation. If every pair stood there both
# ways, so would it in all 7,744 of them, and in the 1,832 that have a one-way relation with the head first.
MNRE_TAIL_FIRST_BIAS = math.log((7_744 + 1_832) / 36)


def tail_first_bias(pairs: str | float, config, relations: Sequence[str] = ()) -> float:
    r"""
    What the order "tail first" says in a model's training data, to be taken off when all pairs of a post are scored.

    MNRE lists pairs without relation in the order of the text, and relations in the direction that they have. A model
    trained on it takes "tail first" itself for a relation. The correction is the one for a shift of priors: the odds of
    `None` in that order are multiplied by the ratio of its share among all pairs to its share in training.

    Args:
        pairs: `"auto"`: `"independent"` for models that say in their configuration that they were trained on both
            orders (`direction_balanced`), or whose relations are not spelled like MNRE's (`/per/org/member_of`), else
            `"mnre"`; `"independent"`: 0, both orders are taken at their word; `"mnre"`: log(9,576 / 36) = 5.6, from
            MNRE's training rows; or a number: more finds fewer relations.
        config (`TGDIConfig`): The model's.
        relations: The model's labels without the one that stands for no relation.

    Returns:
        `float`: To add to the log-odds of `None` where the tail comes first.

    Raises:
        ValueError: There is no such rule.
    """
    if pairs == "auto":
        # What MNRE's rows say of its relations says nothing of those of other data.
        like_mnre = all(map(_SIGNATURE.fullmatch, relations))
        pairs = "mnre" if like_mnre and not getattr(config, "direction_balanced", False) else "independent"
    if isinstance(pairs, int | float) and not isinstance(pairs, bool) and math.isfinite(pairs):
        return float(pairs)
    if pairs not in ("independent", "mnre"):
        raise ValueError(f"`pairs` is {pairs!r}; expected 'auto', 'independent', 'mnre', or a finite number.")
    return MNRE_TAIL_FIRST_BIAS if pairs == "mnre" else 0.0


def symmetric_relations(names: Sequence[str], chosen: Collection[str] | None) -> list[bool]:
    r"""
    Which relations hold both ways.

    Args:
        names: The relations.
        chosen: Those that do: whole names, or what comes after their last slash. By default those of MNRE, among
            relations that are spelled like MNRE's with the same type for head and tail.
    """
    if chosen is not None:
        return [name in chosen or name.rpartition("/")[2] in chosen for name in names]
    signatures = [_SIGNATURE.fullmatch(name) for name in names]
    return [
        signature is not None and signature[1] == signature[2] and name.rpartition("/")[2] in SYMMETRIC
        for name, signature in zip(names, signatures)
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
    Combines the scores for both orders of pairs. The odds of every relation in either direction against `None`, those
    with the tail first corrected by `bias`, are put beside each other: o(r, first → second) = p₁(r) / p₁(None) and
    o(r, second → first) = p₂(r) / p₂(None) · exp(-bias); P(None) = 1 / (1 + Σ o). A relation that holds both ways
    is one thing that both orders say something of: it has the mean of their odds, once. The tail-first order, from
    which a bias is taken off, weighs exp(-bias) in that mean, and the other one 1.

    Args:
        forward, backward (`torch.Tensor`): Probabilities of the relations with head first and with tail first, `(P,
            relations)`.
        names: Of the relations.
        bias: See `tail_first_bias`.
        symmetric: Which relations hold both ways.
        negative: The label that stands for no relation, called `None` above. Without such a label there is no bias, and
            the probabilities of the two orders stand beside each other.

    Returns:
        `tuple`: Probabilities of the relations in the one and the other direction, `(P, relations)` each. `None` and
        relations that hold both ways stand in both; counted once, all together make one.
    """
    shared = torch.tensor(symmetric, device=forward.device)
    scores = torch.stack([forward, backward], dim=1)  # (P, 2, relations)
    scores = scores.clamp(min=torch.finfo(scores.dtype).tiny).log()
    none = list(names).index(negative) if negative in names else None
    weights = scores.new_tensor([0, 0 if none is None else -bias])  # of the two orders, in logarithms
    if none is not None:
        scores = scores - scores[:, :, none : none + 1] + weights[:, None]  # log-odds against None
    scores[:, 0, shared] = scores[:, :, shared].logsumexp(dim=1) - weights.logsumexp(dim=0)
    if none is not None:
        scores[:, 0, none], shared[none] = 0, True
    scores[:, 1, shared] = -torch.inf
    joint = scores.flatten(1).softmax(dim=1).unflatten(1, (2, -1))
    joint[:, 1, shared] = joint[:, 0, shared]
    return tuple(joint.unbind(1))


@lru_cache(maxsize=4096)
def allowed_relations(names: tuple[str, ...], head_type: str | None, tail_type: str | None) -> tuple[bool, ...]:
    r"""
    Which relations two entities can have, by the types in the relations' names (`/head type/tail type/…`).

    `None` and relations whose names say nothing of types always can. A missing type, and one that is foreign to the
    relations' names, such as DATE to MNRE's, stand for any.
    """
    signatures = [_SIGNATURE.fullmatch(name) for name in names]
    known = {kind for signature in signatures if signature for kind in signature.groups()}
    if known <= set(ENTITY_TYPES.values()):
        known = set(ENTITY_TYPES.values())
    types = [kind if kind in known else None for kind in (type_of(head_type), type_of(tail_type))]
    return tuple(
        signature is None or all(kind in (None, expected) for kind, expected in zip(types, signature.groups()))
        for signature in signatures
    )

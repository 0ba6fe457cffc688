"""From scores for both orders of two entities to one answer, and what the types of entities allow."""

import math
import re
from collections.abc import Collection, Sequence
from functools import lru_cache

import torch

from .entity_mentions import ENTITY_TYPES, type_of

NEGATIVE = "None"
# The last part of the names of relations that hold both ways, in MNRE's spelling.
SYMMETRIC = ("siblings", "couple", "neighbor", "peer", "alumi", "alternate_names")
_SIGNATURE = re.compile(r"/([^/]+)/([^/]+)/[^/]+")
# In MNRE's training rows the tail comes first in 36 of the 7,744 pairs without relation, in 1,391 of the other 4,503.
# If every pair stood there both ways, 12,247 - 1,391 = 10,856 of those with the tail first would have no relation.
MNRE_TAIL_FIRST_BIAS = math.log(10_856 / 36)


def tail_first_bias(pairs: str | float, config) -> float:
    r"""
    What the order "tail first" says in a model's training data, to be taken off when all pairs of a post are scored.

    MNRE lists pairs without relation in the order of the text, and relations in the direction that they have. A model
    trained on it takes "tail first" itself for a relation. The correction is the one for a shift of priors: the odds of
    `None` in that order are multiplied by the ratio of its share among all pairs to its share in training.

    Args:
        pairs: `"auto"`: `"independent"` for models that say in their configuration that they were trained on both
            orders (`direction_balanced`), else `"mnre"`; `"independent"`: 0, every order is taken at its word;
            `"mnre"`: log(10,856 / 36) = 5.7, from MNRE's training rows; or a number: more finds fewer relations.
        config (`TGDIConfig`): The model's.

    Returns:
        `float`: To add to the log-odds of `None` where the tail comes first.

    Raises:
        ValueError: There is no such rule.
    """
    if pairs == "auto":
        pairs = "independent" if getattr(config, "direction_balanced", False) else "mnre"
    if isinstance(pairs, int | float) and not isinstance(pairs, bool) and math.isfinite(pairs):
        return float(pairs)
    if pairs not in ("independent", "mnre"):
        raise ValueError(f"`pairs` is {pairs!r}; expected 'auto', 'independent', 'mnre', or a finite number.")
    return MNRE_TAIL_FIRST_BIAS if pairs == "mnre" else 0.0


def is_symmetric(name: str, symmetric: Collection[str]) -> bool:
    """Whether a relation holds both ways, by its name: all of it, or what comes after the last slash."""
    return name in symmetric or name.rpartition("/")[2] in symmetric


def symmetric_relations(names: Sequence[str], config) -> list[bool]:
    r"""
    Which relations a model takes to hold both ways: those of `config.symmetric_relations`, by default MNRE's. No
    relation whose name has different types for head and tail is among them.
    """
    chosen = getattr(config, "symmetric_relations", None)
    signatures = [_SIGNATURE.fullmatch(name) for name in names]
    return [
        is_symmetric(name, SYMMETRIC if chosen is None else chosen)
        and (chosen is not None if signature is None else signature[1] == signature[2])
        for name, signature in zip(names, signatures)
    ]


def joint_scores(
    forward: torch.Tensor, backward: torch.Tensor, names: Sequence[str], bias: float, symmetric: Sequence[bool]
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""
    Combines the scores for both orders of pairs. The odds of every relation in either direction against `None`, those
    with the tail first corrected by `bias`, are put beside each other: o(r, first → second) = p₁(r) / p₁(None) and
    o(r, second → first) = p₂(r) / p₂(None) · exp(-bias); P(None) = 1 / (1 + Σ o). A relation that holds both ways
    is one thing that both orders say something of: it has the mean of their odds, once.

    Args:
        forward, backward (`torch.Tensor`): Probabilities of the relations with head first and with tail first, `(P,
            relations)`.
        names: Of the relations. Without `None` among them the two orders share the probability.
        bias: See `tail_first_bias`.
        symmetric: Which relations hold both ways.

    Returns:
        `tuple`: Probabilities of the relations in the one and the other direction, `(P, relations)` each. `None` and
        relations that hold both ways stand in both; counted once, all together make one.
    """
    both = torch.stack([forward, backward], dim=1)  # (P, 2, relations)
    once = torch.tensor(symmetric, device=both.device)
    if NEGATIVE not in names:
        joint = torch.where(once, both.mean(dim=1, keepdim=True), both / 2)
        return tuple(joint.unbind(1))
    none = list(names).index(NEGATIVE)
    scores = both.clamp(min=torch.finfo(both.dtype).tiny).log()
    scores = scores - scores[:, :, none : none + 1] - scores.new_tensor([0, bias])[:, None]  # log-odds against None
    scores[:, 0, once] = scores[:, :, once].logsumexp(dim=1) - math.log(2)
    scores[:, 0, none], once[none] = 0, True
    scores[:, 1, once] = -torch.inf
    joint = scores.flatten(1).softmax(dim=1).unflatten(1, (2, -1))
    joint[:, 1, once] = joint[:, 0, once]
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

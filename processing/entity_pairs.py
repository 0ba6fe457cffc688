"""From scores for both orders of two entities to one answer, and what the types of entities allow."""

import math
import re
from collections.abc import Sequence
from functools import lru_cache

import torch

from .entity_mentions import ENTITY_TYPES, type_of

NEGATIVE = "None"
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


def joint_scores(
    forward: torch.Tensor, backward: torch.Tensor, names: Sequence[str], bias: float
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""
    Combines the scores for both orders of pairs. The odds of every relation in either direction against `None`, those
    with the tail first corrected by `bias`, are put beside each other: o(r, first → second) = p₁(r) / p₁(None) and
    o(r, second → first) = p₂(r) / p₂(None) · exp(-bias); P(None) = 1 / (1 + Σ o).

    Args:
        forward, backward (`torch.Tensor`): Probabilities of the relations with head first and with tail first, `(P,
            relations)`.
        names: Of the relations. Without `None` among them the two orders share the probability.
        bias: See `tail_first_bias`.

    Returns:
        `tuple`: Probabilities of the relations in the one and the other direction, `(P, relations)` each. `None` stands
        in both; it and all relations of both directions together make one.
    """
    both = torch.stack([forward, backward], dim=1)  # (P, 2, relations)
    if NEGATIVE not in names:
        return tuple((both / 2).unbind(1))
    none = list(names).index(NEGATIVE)
    scores = both.clamp(min=torch.finfo(both.dtype).tiny).log()
    scores = scores - scores[:, :, none : none + 1] - scores.new_tensor([0, bias])[:, None]  # log-odds against None
    scores[:, 0, none], scores[:, 1, none] = 0, -torch.inf  # None once
    joint = scores.flatten(1).softmax(dim=1).unflatten(1, (2, -1))
    joint[:, 1, none] = joint[:, 0, none]
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

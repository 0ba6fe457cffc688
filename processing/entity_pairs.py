"""From scores for both orders of two entities to one answer, and what the types of entities allow."""

import re
from collections.abc import Sequence
from functools import lru_cache

import torch

from .entity_mentions import type_of

NEGATIVE = "None"
_SIGNATURE = re.compile(r"/([^/]+)/([^/]+)/[^/]+")
PAIR_RULES = ("auto", "agreement", "independent")


def pair_rule(name: str, config) -> str:
    r"""
    How the two orders of a pair are combined.

    - `"agreement"`: models that saw pairs without relation in the order of the text only, as MNRE lists them, take
      "tail first" for a relation. So a pair has a relation only if both orders say so: of their two probabilities of
      `None` the larger counts, and the rest is shared among the relations, both directions of them, in proportion to
      what the two orders give them.
    - `"independent"`: models that saw every pair both ways (`config.direction_balanced`) judge each order by itself:
      the odds of every relation against `None` are taken as they are, and normalised over both directions.

    Args:
        name: `"auto"` (`"independent"` for models that say so in their configuration, else `"agreement"`), or one of
            the two.
        config (`TGDIConfig`): The model's.

    Raises:
        ValueError: There is no such rule.
    """
    if name not in PAIR_RULES:
        raise ValueError(f"`pairs` is {name!r}; expected one of {', '.join(PAIR_RULES)}.")
    if name != "auto":
        return name
    return "independent" if getattr(config, "direction_balanced", False) else "agreement"


def joint_scores(
    forward: torch.Tensor, backward: torch.Tensor, names: Sequence[str], rule: str
) -> tuple[torch.Tensor, torch.Tensor]:
    r"""
    Combines the two orders of pairs.

    Args:
        forward, backward (`torch.Tensor`): Probabilities of the relations with head first and with tail first, `(P,
            relations)`.
        names: Of the relations.
        rule: `"agreement"` or `"independent"`, see `pair_rule`.

    Returns:
        `tuple`: Probabilities of the relations in the one and the other direction, `(P, relations)` each. `None` stands
        in both; it and all relations of both directions together make one.
    """
    both = torch.stack([forward, backward], dim=1)  # (P, 2, relations)
    if NEGATIVE not in names:
        return tuple((both / 2).unbind(1))
    none = list(names).index(NEGATIVE)
    negative, tiny = both[:, :, none], torch.finfo(both.dtype).tiny
    if rule == "independent":
        relations = both / negative.clamp(min=tiny).unsqueeze(-1)  # odds against None
        relations[:, :, none] = 0
        total = 1 + relations.sum(dim=(1, 2), keepdim=True)
        joint, negative = relations / total, 1 / total[:, 0, 0]
    else:
        negative = negative.amax(dim=1)
        both[:, :, none] = 0
        share = both / both.sum(dim=(1, 2), keepdim=True).clamp(min=tiny)
        joint = share * (1 - negative)[:, None, None]
    joint[:, :, none] = negative.unsqueeze(-1)
    return tuple(joint.unbind(1))


@lru_cache(maxsize=4096)
def allowed_relations(names: tuple[str, ...], head_type: str | None, tail_type: str | None) -> tuple[bool, ...]:
    r"""
    Which relations two entities can have, by the types in the relations' names (`/head type/tail type/…`).

    `None` and relations whose names say nothing of types always can. A type that is unknown to all relations, and
    `None`, stand for any.
    """
    signatures = [_SIGNATURE.fullmatch(name) for name in names]
    known = {kind for signature in signatures if signature for kind in signature.groups()}
    types = [kind if kind in known else None for kind in (type_of(head_type), type_of(tail_type))]
    return tuple(
        signature is None or all(kind in (None, expected) for kind, expected in zip(types, signature.groups()))
        for signature in signatures
    )

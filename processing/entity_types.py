"""Entity types: one spelling for the types of all taggers, and the relation labels that two types allow."""

import re
from collections.abc import Iterable
from functools import lru_cache

# The names that token classifiers use for the entity types in MNRE's relation labels. OntoNotes' types of things that
# are neither people, organizations nor locations count as misc.
_SAME_TYPE = {
    "per": ("per", "person", "people"),
    "org": ("org", "organization", "organisation", "corporation", "company", "group", "norp"),
    "loc": ("loc", "location", "place", "gpe", "fac", "facility"),
    "misc": ("misc", "miscellaneous", "other", "event", "product", "work_of_art", "creative-work", "law", "language"),
}
ENTITY_TYPES = {name: entity_type for entity_type, names in _SAME_TYPE.items() for name in names}
_TYPED_LABEL = re.compile(r"/([^/]+)/([^/]+)/[^/]+")


def types_in_label(label: str) -> tuple[str, str] | None:
    """The types of head and tail in a relation label spelled like MNRE's (`/per/org/member_of`); `None` otherwise."""
    match = _TYPED_LABEL.fullmatch(label)
    return (match[1], match[2]) if match else None


def type_of(tag: str | None) -> str | None:
    """The MNRE type that a tagger's tag stands for (`"B-PERSON"` → `"per"`); other types are only lower-cased."""
    if tag is None:
        return None
    tag = re.sub(r"^[BIESLU]-", "", tag).lower()
    return ENTITY_TYPES.get(tag, tag)


def types_of(names: Iterable[str]) -> set[str]:
    """
    The entity types that restrict the relations of a model: those in its relation labels, which are all types of MNRE
    if they contain no others. Empty if the labels contain no types.
    """
    found = {entity_type for name in names for entity_type in types_in_label(name) or ()}
    return set(ENTITY_TYPES.values()) if found and found <= set(ENTITY_TYPES.values()) else found


def allowed_relations(names: tuple[str, ...], head_type: str | None, tail_type: str | None) -> tuple[bool, ...]:
    r"""
    Finds the relation labels that the types of two entities allow, by the types in the labels' names
    (`/head type/tail type/…`).

    Labels whose names contain no types, such as `None`, are always allowed. A missing type, and a type that occurs in
    none of the labels (DATE in MNRE), matches any type.

    Args:
        names: The relation labels.
        head_type, tail_type: The types of head and tail, as a tagger spells them.

    Returns:
        For each label, whether it is allowed.
    """
    known = _known_types(names)
    head, tail = (one if one in known else None for one in (type_of(head_type), type_of(tail_type)))
    return _allowed(names, head, tail)


# Cached by known types alone: users choose the others, which may be long and many.
@lru_cache(maxsize=4096)
def _allowed(names: tuple[str, ...], head: str | None, tail: str | None) -> tuple[bool, ...]:
    expected = [types_in_label(name) for name in names]
    return tuple(types is None or (head in (None, types[0]) and tail in (None, types[1])) for types in expected)


@lru_cache(maxsize=64)
def _known_types(names: tuple[str, ...]) -> frozenset[str]:
    return frozenset(types_of(names))

"""Head and tail of a post, located in its text."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .invalid_post import InvalidPost
from .mention_search import Span
from .post_text import Entity, PostText

MAX_ENTITIES = 64  # per post, which form 4,032 ordered pairs


class EntityPair(NamedTuple):
    """Two entities in the order in which a relation is read: from head to tail."""

    head: Entity
    tail: Entity


class PairSpans(NamedTuple):
    """The spans `[start, end)` of head and tail, in one unit."""

    head: Span
    tail: Span


class LocatedPair(NamedTuple):
    r"""
    Head and tail of a post, with its text.

    Args:
        text: The text of the post; joined by spaces if the post is given in words.
        characters: The spans of head and tail in characters of `text`.
        units: The same spans in words if the post is given in words, otherwise equal to `characters`.
    """

    text: str
    characters: PairSpans
    units: PairSpans


def text_and_spans(row: Mapping[str, Any], where: str, ambiguous: str = "error") -> LocatedPair:
    r"""
    Locates head and tail of a post.

    Args:
        row: With `text` or `words`, and `head` and `tail` as for `PostText.entities`.
        where: Names the post in messages.
        ambiguous: See `PostText`; of `"all"` occurrences, the first one is taken.

    Raises:
        InvalidPost: The post has no text, or an entity is not in the text or occurs several times.
    """
    text = PostText(row, where, ambiguous)
    head, tail = _first_pair(text, row.get("head"), row.get("tail"))
    return LocatedPair(text.text, PairSpans(head.span, tail.span), PairSpans(head.units, tail.units))


def head_tail_pairs(text: PostText, head: Any, tail: Any, most: int = MAX_ENTITIES) -> list[EntityPair]:
    r"""
    Lists the entity pairs that head and tail of a post stand for.

    Args:
        text: The text of the post.
        head, tail: As for `PostText.entities`.
        most: The largest number of different spans of head and tail.

    Returns:
        One pair; with `ambiguous="all"`, one pair per occurrence of the head and occurrence of the tail, in text order.
        Of several pairs, those with both entities at the same span are left out.

    Raises:
        InvalidPost: See `PostText.entities`; or head and tail have more than `most` different spans.
    """
    heads, tails = text.entities(head, "head"), text.entities(tail, "tail")
    if len(heads) == len(tails) == 1:
        return [_first_pair(text, head, tail)]
    if (places := len({entity.span for entity in (*heads, *tails)})) > most:
        raise InvalidPost(
            f"{text.where}: head and tail occur at {places} places in the text; expected up to {most}. Pass the spans "
            "of the intended ones.",
            "head" if len(heads) > len(tails) else "tail",
        )
    return [EntityPair(head, tail) for head in heads for tail in tails if head.span != tail.span]


def _first_pair(text: PostText, head: Any, tail: Any) -> EntityPair:
    """Head and tail; of several occurrences, the first ones with different spans."""
    first = EntityPair(text.entity(head, "head"), text.entity(tail, "tail"))
    if text.ambiguous == "first" and first.head.span == first.tail.span:
        heads, tails = text.entities(head, "head", every=True), text.entities(tail, "tail", every=True)
        pairs = (EntityPair(one, two) for one in heads for two in tails if one.span != two.span)
        return next(pairs, first)
    return first

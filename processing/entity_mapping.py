"""Entities given as mappings, as returned by token classifiers and stored by annotation tools and datasets."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .invalid_post import InvalidPost
from .named_spans import agrees
from .post_keys import is_missing, is_typo

TYPE_KEYS = ("type", "entity_group", "entity", "label", "entity_type", "ner")
MENTION_KEYS = ("text", "word", "name", "mention")
SPAN_KEYS = ("span", "pos")
# Other names for keys, in lower case and without underscores. Ignoring them would change the result.
_SYNONYMS = {
    "start": "begin beg from startchar charstart startoffset beginoffset offsetstart startindex startpos "
    "startposition offset",
    "end": "stop to endchar charend endoffset offsetend endindex endpos endposition finish length",
    "text": "surface surfaceform surfacetext value phrase string entityname entitytext mentiontext",
    "span": "offsets charspan position positions indices range location",
}


class GivenEntity(NamedTuple):
    r"""
    The contents of a mapping that specifies an entity.

    Args:
        span: `(start, end)` as given; `None` if the mapping has only a mention.
        mention: The name of the entity in the text; `None` if the mapping has only a span.
        type: The entity type; `None` if it is unknown.
    """

    span: Any
    mention: str | None
    type: str | None


def read_mapping(value: Mapping[str, Any], name: str, where: str) -> GivenEntity:
    r"""
    Args:
        value: With a span (`start` and `end`, or `span`) or a mention (`text`, `word`, `name` or `mention`) or both,
            and optionally a type. Other keys, such as a score, are ignored.
        name: The name of the entity in messages.
        where: Names the post in messages.

    Raises:
        InvalidPost: The mapping has neither span nor mention, only half of a span, or contradictory values; or an
            unknown key is probably a misspelling of one that it lacks.
    """
    given = {key: part for key, part in value.items() if not is_missing(part)}
    described = f"{where}: `{name}` is {dict(value)!r:.120}"
    kind = next((given[key] for key in TYPE_KEYS if key in given), None)
    if kind is not None and not isinstance(kind, str):
        raise InvalidPost(f"{where}: the type of `{name}` is {kind!r:.80}; expected a string.")
    mentions = [given[key] for key in MENTION_KEYS if key in given]
    if wrong := [mention for mention in mentions if not isinstance(mention, str)]:
        raise InvalidPost(f"{described}; the mention is {wrong[0]!r:.80}, expected a string.")
    spans = [given[key] for key in SPAN_KEYS if key in given]
    if "start" in given and "end" in given:
        spans.insert(0, (given["start"], given["end"]))
    _check_keys(given, bool(spans), bool(mentions), kind is not None, described)
    if not spans and not mentions:
        raise InvalidPost(f"{described}; expected `start` and `end`, or `text`, its name in the text.")
    if {"start", "end"} & given.keys() and not spans:
        raise InvalidPost(f"{described}; expected `start` and `end`, found only one of them.")
    if spans:  # an empty mention beside a span counts as missing
        mentions = [mention for mention in mentions if mention]
    for other in mentions[1:]:
        if not agrees(mentions[0], other):
            raise InvalidPost(f"{described}; its mentions {mentions[0]!r:.80} and {other!r:.80} differ. Remove one.")
    for other in spans[1:]:
        if list(other) != list(spans[0]):
            raise InvalidPost(f"{described}; its spans {list(spans[0])} and {list(other)} differ. Remove one.")
    return GivenEntity(spans[0] if spans else None, mentions[0] if mentions else None, kind)


def _check_keys(given: Mapping[str, Any], has_span: bool, has_mention: bool, has_type: bool, described: str) -> None:
    """Rejects an unknown key that is probably a misspelling of a missing one; ignoring it would change the result."""
    known = {"start", "end", *TYPE_KEYS, *MENTION_KEYS, *SPAN_KEYS}
    missing = {
        *(key for key in ("start", "end") if not has_span and key not in given),
        *(("span",) if not has_span and not {"start", "end"} & given.keys() else ()),
        *(("text", "word") if not has_mention else ()),
        *(("type",) if not has_type else ()),
    }
    for key in given.keys() - known:
        plain = "".join(character for character in str(key).lower() if character.isalnum())
        for meant in sorted(missing):
            if plain == meant or plain in _SYNONYMS.get(meant, "").split() or is_typo(plain, meant):
                raise InvalidPost(f"{described}; the key {key!r} is unknown. Did you mean `{meant}`?")

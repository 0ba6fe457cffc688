"""Entities given as mappings, as token classifiers, annotation tools and data sets have them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from .invalid_post import InvalidPost
from .named_spans import agrees
from .post_keys import is_missing, is_typo

TYPE_KEYS = ("type", "entity_group", "entity", "label", "entity_type", "ner")
MENTION_KEYS = ("text", "word", "name", "mention")
SPAN_KEYS = ("span", "pos")
# Other names for what would be passed over, in lower case and without underscores.
_MEANT = {
    "start": "begin beg from startchar charstart startoffset beginoffset offsetstart startindex startpos "
    "startposition offset",
    "end": "stop to endchar charend endoffset offsetend endindex endpos endposition finish length",
    "text": "surface surfaceform surfacetext value phrase string entityname entitytext mentiontext",
    "span": "offsets charspan position positions indices range location",
}


class GivenEntity(NamedTuple):
    r"""
    What a mapping says of an entity.

    Args:
        span: `(start, end)` as it was given; `None` if it says only what the entity is called.
        mention: What the entity is called; `None` if it says only where it is.
        type: What kind of thing it is; `None` where that was not said.
    """

    span: Any
    mention: str | None
    type: str | None


def read_mapping(value: Mapping[str, Any], name: str, where: str) -> GivenEntity:
    r"""
    Args:
        value: With `start` and `end` (or `span`), or what the entity is called (`text`, `word`, `name` or `mention`),
            or both; and maybe its type. Other keys, such as a score, are passed over.
        name: What to call the entity in messages.
        where: Names the post in messages.

    Raises:
        InvalidPost: It says neither; only half of a span; two different things; or it has a key that is probably meant
            for one that it lacks.
    """
    given = {key: part for key, part in value.items() if not is_missing(part)}
    said = f"{where}: `{name}` is {dict(value)!r:.120}"
    kind = next((given[key] for key in TYPE_KEYS if key in given), None)
    if kind is not None and not isinstance(kind, str):
        raise InvalidPost(f"{where}: the type of `{name}` is {kind!r:.80}; expected a string.")
    mentions = [given[key] for key in MENTION_KEYS if key in given]
    if wrong := [mention for mention in mentions if not isinstance(mention, str)]:
        raise InvalidPost(f"{said}; what it is called is {wrong[0]!r:.80}, expected a string.")
    spans = [given[key] for key in SPAN_KEYS if key in given]
    if "start" in given and "end" in given:
        spans.insert(0, (given["start"], given["end"]))
    _check_keys(given, bool(spans), bool(mentions), kind is not None, said)
    if not spans and not mentions:
        raise InvalidPost(f"{said}; expected `start` and `end`, or `text`: what it is called.")
    if {"start", "end"} & given.keys() and not spans:
        raise InvalidPost(f"{said}; expected `start` and `end`, found only one of them.")
    if spans:  # nothing is said by an empty string beside one
        mentions = [mention for mention in mentions if mention]
    for other in mentions[1:]:
        if not agrees(mentions[0], other):
            raise InvalidPost(f"{said}; it is called {mentions[0]!r:.80} and {other!r:.80}. Leave one out.")
    for other in spans[1:]:
        if list(other) != list(spans[0]):
            raise InvalidPost(f"{said}; it is at {list(spans[0])} and at {list(other)}. Leave one out.")
    return GivenEntity(spans[0] if spans else None, mentions[0] if mentions else None, kind)


def _check_keys(given: Mapping[str, Any], has_span: bool, has_mention: bool, has_type: bool, said: str) -> None:
    """Refuses a key that is probably meant for what is lacking: passed over, it would change the answer."""
    known = {"start", "end", *TYPE_KEYS, *MENTION_KEYS, *SPAN_KEYS}
    lacking = {
        *(key for key in ("start", "end") if not has_span and key not in given),
        *(("span",) if not has_span and not {"start", "end"} & given.keys() else ()),
        *(("text", "word") if not has_mention else ()),
        *(("type",) if not has_type else ()),
    }
    for key in given.keys() - known:
        plain = "".join(character for character in str(key).lower() if character.isalnum())
        for meant in sorted(lacking):
            if plain == meant or plain in _MEANT.get(meant, "").split() or is_typo(plain, meant):
                raise InvalidPost(f"{said}; it has no key {key!r}. Did you mean `{meant}`?")

"""Entities of a post, in all the ways in which people point at them."""

import operator
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .entity_markers import check_span, words_to_text
from .invalid_post import InvalidPost

# The names that token classifiers have for the types of MNRE's relations; OntoNotes' names for things go to misc.
_SAME_TYPE = {
    "per": ("per", "person", "people"),
    "org": ("org", "organization", "organisation", "corporation", "company", "group", "norp"),
    "loc": ("loc", "location", "place", "gpe", "fac", "facility"),
    "misc": ("misc", "miscellaneous", "other", "event", "product", "work_of_art", "creative-work", "law", "language"),
}
ENTITY_TYPES = {name: entity_type for entity_type, names in _SAME_TYPE.items() for name in names}
TYPE_KEYS = ("type", "entity_group", "entity", "label")


class Entity(NamedTuple):
    r"""
    One entity of a post.

    Args:
        span: `[start, end)` in characters of the text.
        units: The same in words where the post is given in words, else `span`.
        type: What kind of thing it is, as it was given; `None` where that was not said.
    """

    span: tuple[int, int]
    units: tuple[int, int]
    type: str | None = None


class PostText:
    r"""
    The text of a post, in which entities are looked up.

    Args:
        post: With `words` or `text`.
        where: Names the post in messages.

    Raises:
        InvalidPost: There is no text.
    """

    def __init__(self, post: Mapping[str, Any], where: str):
        self.where, self.words, self._places = where, post.get("words"), None
        self.text = post.get("text")
        if self.words is not None:
            # `datasets` and pandas give arrays.
            is_list = isinstance(self.words, Iterable) and not isinstance(self.words, str | bytes | Mapping)
            if not is_list or not all(isinstance(word, str) for word in self.words):
                raise InvalidPost(f"{where}: `words` is {self.words!r:.80}; expected a list of words.", "words")
            self.words = list(self.words)
            self.text, self._places = words_to_text(self.words, [(i, i + 1) for i in range(len(self.words))])
        elif self.text is None:
            keys = ", ".join(map(str, post)) or "nothing"
            raise InvalidPost(f"{where}: the post has no text: neither `text` nor `words`, only {keys}.", "text")
        if not isinstance(self.text, str) or not self.text.strip():
            raise InvalidPost(
                f"{where}: the post has no text: `text` is {self.text!r:.80}.",
                "text" if self.words is None else "words",
            )

    @property
    def units(self) -> str | list[str]:
        """What spans count: the words where there are words, else the text."""
        return self.text if self.words is None else self.words

    def entity(self, value: Any, name: str, field: str | None = None) -> Entity:
        r"""
        Args:
            value: A span `[start, end)` of characters or words, the same as JSON in a string, what the entity is called
                in the text, or a mapping with one of these: `start` and `end`, or `word` or `text`; and maybe its type,
                as token-classification pipelines give it. Their spans count characters: of a post in words, too, if the
                mapping also says what the entity is called.
            name: What to call the entity in messages.
            field: The key of the post that it comes from; `name` by default.

        Raises:
            InvalidPost: It is not in the text, or is there more than once.
        """
        field, kind = field or name, None
        if isinstance(value, Mapping):
            value, kind = self._of_mapping(value, name, field)
        value = _span_or_mention(value)
        try:
            if isinstance(value, str):
                span = find_entity(self.text, value, name, self.where)
                return Entity(span, span if self._places is None else _in_words(span, self._places), kind)
            unit = "characters" if self.words is None else "words"
            units = check_span(value, len(self.units), name, unit, self.where)
        except InvalidPost as error:
            raise InvalidPost(str(error), field) from None
        span = units if self._places is None else (self._places[units[0]][0], self._places[units[1] - 1][1])
        return Entity(span, units, kind)

    def _of_mapping(self, value: Mapping[str, Any], name: str, field: str) -> tuple[Any, str | None]:
        kind = next((value[key] for key in TYPE_KEYS if value.get(key) is not None), None)
        if kind is not None and not isinstance(kind, str):
            raise InvalidPost(f"{self.where}: the type of `{name}` is {kind!r:.80}; expected a string.", field)
        mention = next((value[key] for key in ("word", "text") if isinstance(value.get(key), str)), None)
        if value.get("start") is not None and value.get("end") is not None:
            span = value["start"], value["end"]
            return span if self._places is None or not mention else self._counted(span, mention, name, field), kind
        if mention is None:
            raise InvalidPost(
                f"{self.where}: `{name}` is {dict(value)!r:.80}; expected `start` and `end`, or `text`: what it is "
                "called.",
                field,
            )
        return mention, kind

    def _counted(self, span: tuple[Any, Any], mention: str, name: str, field: str) -> tuple[Any, Any]:
        """
        In words, a span of which it is also known what it is called: token classifiers count characters.
        """
        try:
            start, end = map(operator.index, span)
        except TypeError:
            return span  # `check_span` says what is wrong with it
        if _letters(" ".join(self.words[start:end])) == _letters(mention):
            return span
        if _letters(self.text[start:end]) == _letters(mention):
            return _in_words(span, self._places)
        raise InvalidPost(
            f"{self.where}: `{name}` is {mention!r:.80} from {start} to {end}, but that is "
            f"{' '.join(self.words[start:end])!r:.80} in words and {self.text[start:end]!r:.80} in characters.",
            field,
        )


def text_and_spans(
    row: Mapping[str, Any], where: str
) -> tuple[str, tuple[tuple[int, int], tuple[int, int]], tuple[tuple[int, int], tuple[int, int]]]:
    r"""
    Finds head and tail of a post.

    Args:
        row: With `text` or `words`, and `head` and `tail` as for `PostText.entity`.
        where: Names the post in messages.

    Returns:
        The text; the spans of head and tail in characters; and the same in words where the post has words.

    Raises:
        InvalidPost: There is no text, or an entity is not in it, or is there more than once.
    """
    text = PostText(row, where)
    head, tail = (text.entity(row.get(name), name) for name in ("head", "tail"))
    return text.text, (head.span, tail.span), (head.units, tail.units)


def find_entity(text: str, mention: str, name: str, where: str) -> tuple[int, int]:
    r"""
    Where an entity stands that is given by what it is called. Occurrences inside of longer words count only if there
    are no others.

    Raises:
        InvalidPost: It is not in the text, or more than once; the message lists the places.
    """
    mention = mention.strip()
    # Those that overlap, too: "Bora Bora" is twice in "Bora Bora Bora".
    starts = [match.start() for match in re.finditer(f"(?={re.escape(mention)})", text)] if mention else []
    places = [(start, start + len(mention)) for start in starts]
    whole = [
        (start, end)
        for start, end in places
        if not (start > 0 and text[start - 1].isalnum() and text[start].isalnum())
        and not (end < len(text) and text[end - 1].isalnum() and text[end].isalnum())
    ]
    places = whole or places
    if not places:
        raise InvalidPost(f"{where}: `{name}` is {mention!r:.80}, which is not in the text: {text[:80]!r}.", name)
    if len(places) > 1:
        spans = ", ".join(f"[{start}, {end})" for start, end in places)
        raise InvalidPost(
            f"{where}: `{name}` is {mention!r:.80}, which is in the text {len(places)} times; say which: {spans}.", name
        )
    return places[0]


def type_of(label: str | None) -> str | None:
    """What the relations of MNRE call a type (`"B-PERSON"` → `"per"`), in lower case; other types stay as they are."""
    if label is None:
        return None
    label = re.sub(r"^[BIESLU]-", "", label).lower()
    return ENTITY_TYPES.get(label, label)


def _span_or_mention(value: Any) -> Any:
    """Tables of strings have spans as `"[0, 3]"`."""
    span = (
        re.fullmatch(r"\s*[\[(]\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*[\])]\s*", value)
        if isinstance(value, str)
        else None
    )
    return (int(span[1]), int(span[2])) if span else value


def _letters(text: str) -> str:
    """What is left of a mention whatever a tokenizer did to it: letters and digits, in lower case, without accents."""
    return "".join(character for character in unicodedata.normalize("NFKD", text.lower()) if character.isalnum())


def _in_words(span: tuple[int, int], words: Sequence[tuple[int, int]]) -> tuple[int, int]:
    inside = [i for i, (start, end) in enumerate(words) if start < span[1] and end > span[0]]
    return inside[0], inside[-1] + 1

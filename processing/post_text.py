"""The text of a post, and the entities in it, in every form in which a post can specify them."""

import json
import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .aligned_words import AlignedWords
from .entity_mapping import read_mapping
from .entity_markers import check_span, words_to_text
from .grapheme_clusters import is_visible, trim
from .invalid_post import InvalidPost
from .mention_search import Span, near_miss, occurrences
from .named_spans import agrees, miscounted, recount
from .post_containers import several_posts_hint

AMBIGUOUS = ("error", "first", "all")  # how a mention with several occurrences in the text is resolved
MOST_PLACES = 8  # listed in a message


class Location(NamedTuple):
    r"""
    The location of an entity in the text of a post.

    Args:
        span: `[start, end)` in characters of the text.
        units: The same in words if the post is given in words, otherwise equal to `span`.
    """

    span: Span
    units: Span


class Entity(NamedTuple):
    r"""
    One entity of a post.

    Args:
        span: `[start, end)` in characters of the text.
        units: The same in words if the post is given in words, otherwise equal to `span`.
        type: The entity type as given; `None` if it is unknown.
    """

    span: Span
    units: Span
    type: str | None = None


class PostText:
    r"""
    The text of a post, in which entities are located.

    If a post has both `text` and `words`, they must contain the same letters, and the model reads the words. Entities
    may be given in either, and a span that refers to different entities in the two is rejected.

    Args:
        post: With `words` or `text`, or both.
        where: Names the post in messages.
        ambiguous: How a mention with several occurrences in the text is resolved: `"error"` rejects it, `"first"` takes
            the first occurrence, `"all"` takes all of them.

    Raises:
        InvalidPost: The post has no text, or `text` and `words` differ.
        ValueError: `ambiguous` has an unknown value.
    """

    def __init__(self, post: Mapping[str, Any], where: str, ambiguous: str = "error"):
        self.where, self.ambiguous = where, check_ambiguous(ambiguous)
        words, text = post.get("words"), post.get("text")
        self.words: list[str] | None = None
        self._word_spans: list[Span] = []  # in `self.text`
        self._raw_text: str | None = None  # `text` of a post that also has `words`
        self._aligned: AlignedWords | None = None  # `_raw_text` with the joined words
        if words is not None:
            # `datasets` and pandas pass arrays.
            is_list = isinstance(words, Iterable) and not isinstance(words, str | bytes | Mapping)
            if not is_list or not all(isinstance(word, str) for word in words):
                raise InvalidPost(f"{where}: `words` is {words!r:.80}; expected a list of words.", "words")
            self.words = list(words)
            joined, self._word_spans = words_to_text(self.words, [(i, i + 1) for i in range(len(self.words))])
        elif text is None:
            keys = ", ".join(map(str, post)) or "nothing"
            hint = several_posts_hint(post)
            raise InvalidPost(f"{where}: the post has no text: neither `text` nor `words`, only {keys}.{hint}", "text")
        else:
            joined = text
        if not isinstance(joined, str) or not is_visible(joined):
            field, found = ("text", text) if self.words is None else ("words", self.words)
            hint = several_posts_hint(post) if self.words is None else ""
            raise InvalidPost(f"{where}: the post has no text: `{field}` is {found!r:.80}.{hint}", field)
        self.text: str = joined
        if self.words is not None:
            self._align(text)

    def _align(self, text: Any) -> None:
        """Aligns the `text` of a post with its words; an empty cell counts as missing."""
        is_nan = isinstance(text, float) and text != text
        if text is None or is_nan or (isinstance(text, str) and not is_visible(text)):
            return
        if not isinstance(text, str):
            raise InvalidPost(f"{self.where}: `text` is {text!r:.80}; expected a string.", "text")
        try:
            self._raw_text, self._aligned = text, AlignedWords(text, self.text)
        except ValueError:
            raise InvalidPost(
                f"{self.where}: `text` is {text!r:.80} and `words` are {self.text!r:.80}, whose letters differ; remove "
                "the one that does not belong to the post.",
                "words",
            ) from None

    @property
    def units(self) -> str | list[str]:
        """The sequence that spans index: the words if there are any, otherwise the text."""
        return self.text if self.words is None else self.words

    def entity(self, value: Any, name: str, field: str | None = None) -> Entity:
        """The first of `entities`."""
        return self.entities(value, name, field)[0]

    def entities(self, value: Any, name: str, field: str | None = None, every: bool = False) -> list[Entity]:
        r"""
        Locates an entity in the text.

        Args:
            value: A span `[start, end)` of characters or words, the same span as a JSON string, the mention (the name
                of the entity in the text), or a mapping with span, mention and optionally a type, see `read_mapping`.
                A span with a mention must agree with it; in a post given in words, it may count words or characters.
            name: The name of the entity in messages.
            field: The key of the post that contains it; `name` by default.
            every: Treat `ambiguous="first"` as `"all"`.

        Returns:
            One entity; for a mention with `ambiguous="all"`, one entity per occurrence, in text order.

        Raises:
            InvalidPost: The mention is not in the text or occurs several times, the entity has no visible character, or
                span and mention contradict each other.
        """
        value = _parse_mapping(value)
        span, mention, entity_type = value, None, None
        try:
            if isinstance(value, Mapping):
                span, mention, entity_type = read_mapping(value, name, self.where)
            elif isinstance(value, str):
                span, mention = _span_or_mention(value)
            if span is None and mention is not None:
                found = self._find_mention(mention, name, every)
            else:
                found = [self._locate(span, name) if mention is None else self._match(span, mention, name)]
        except InvalidPost as error:
            raise InvalidPost(str(error), field or name) from None
        return [Entity(*location, entity_type) for location in found]

    def _find_mention(self, mention: str, name: str, every: bool) -> list[Location]:
        """Locates an entity that is given by its mention alone."""
        found = [self._from_characters(span) for span in occurrences(self.text, mention)]
        if not found and self._raw_text is not None:
            found = [self._from_raw_text(span, name) for span in occurrences(self._raw_text, mention)]
        if len(found) > 1 and self.ambiguous == "error":
            spans = ", ".join(f"[{units[0]}, {units[1]})" for _, units in found[:MOST_PLACES])
            more = ", …" if len(found) > MOST_PLACES else ""
            raise InvalidPost(
                f"{self.where}: `{name}` is {mention!r:.80}, which occurs {len(found)} times in the text. Pass one of "
                f"the spans {spans}{more}; or use the first or all of them: `ambiguous='first'` or `'all'` of the "
                "pipeline, `predict` and `prepare` (`--ambiguous`), `'first'` of `TGDICollator`."
            )
        if found:
            return found if every or self.ambiguous == "all" else found[:1]
        if not is_visible(mention):
            raise InvalidPost(
                f"{self.where}: `{name}` is {mention!a:.80}, without a visible character; expected a mention of the "
                "entity in the text."
            )
        hint = near_miss(self.text, mention)
        raise InvalidPost(
            f"{self.where}: `{name}` is {mention!r:.80}, which is not in the text: {self.text[:80]!r}."
            + (f" {hint}" if hint else "")
        )

    def _locate(self, span: Any, name: str) -> Location:
        """Locates an entity that is given by its span alone."""
        if self.words is None or self._raw_text is None:
            if self.words is None:
                self._check_unit(span, name)
            return self._from_units(span, name)
        readings, errors = set(), []
        for read in (self._from_units, self._from_raw_text):
            try:
                readings.add(read(span, name))
            except InvalidPost as error:
                errors.append(error)
        if not readings:
            raise errors[0]
        if len(readings) > 1:
            start, end = map(operator.index, span)
            raise InvalidPost(
                f"{self.where}: the span of `{name}`, [{start}, {end}), is {' '.join(self.words[start:end])!r:.80} in "
                f"words and {self._raw_text[start:end]!r:.80} in characters of `text`. Remove `text` or `words`, or "
                f"add the mention: {{'start': {start}, 'end': {end}, 'text': …}}."
            )
        return readings.pop()

    def _check_unit(self, span: Any, name: str) -> None:
        """Rejects a span that most likely does not count characters (code points)."""
        try:
            start, end = map(operator.index, span)
        except (TypeError, ValueError):
            return  # `check_span` reports it
        if 0 <= start < end <= len(self.text) and (hint := miscounted(self.text, start, end)):
            raise InvalidPost(
                f"{self.where}: the span of `{name}`, [{start}, {end}), is {self.text[start:end]!r:.80}, which cuts a "
                f"word. {hint} Pass that span; or confirm the given one by adding the mention: "
                f"{{'start': {start}, 'end': {end}, 'text': …}}."
            )

    def _match(self, span: Any, mention: str, name: str) -> Location:
        """Locates an entity that is given by span and mention; token classifiers count characters even in words."""
        try:
            start, end = map(operator.index, span)
        except TypeError:
            return self._from_units(span, name)  # reports the invalid span
        readers: dict[str, tuple[str | list[str], Callable[[Any, str], Location]]] = {}
        if self.words is not None:
            readers["words"] = self.words, self._from_units
        readers["characters"] = self.text, self._from_joined
        if self._raw_text is not None and self._raw_text != self.text:
            readers["characters of `text`"] = self._raw_text, self._from_raw_text
        described, readings, errors = [], set(), []
        for unit, (units, read) in readers.items():
            if 0 <= start < end <= len(units):
                found = units[start:end] if isinstance(units, str) else " ".join(units[start:end])
                described.append(f"{found!r:.80} in {unit}")
                if agrees(found, mention):
                    try:
                        readings.add(read((start, end), name))
                    except InvalidPost as error:
                        errors.append(error)
        if len(readings) == 1:
            return readings.pop()
        if errors and not readings:
            raise errors[0]
        if readings:
            spans = " and ".join(f"[{units[0]}, {units[1]})" for _, units in sorted(readings))
            raise InvalidPost(
                f"{self.where}: `{name}` is {mention!r:.80} from {start} to {end}, both in words and in characters; "
                f"these are the words {spans}. Pass one of these spans without the mention."
            )
        text = self.text if self._raw_text is None else self._raw_text
        hint = recount(text, start, end, mention)
        if not described and hint is None:
            return self._from_units(span, name)  # reports the length of the text
        if hint is None and (places := occurrences(text, mention)):
            hint = f"{mention!r:.80} is at " + ", ".join(f"[{a}, {b})" for a, b in places[:MOST_PLACES]) + "."
        raise InvalidPost(
            f"{self.where}: `{name}` is {mention!r:.80} from {start} to {end}, but that span is "
            f"{' and '.join(described) or 'outside the text'}. " + (hint or "Correct one of the two, or remove it.")
        )

    def _from_units(self, span: Any, name: str) -> Location:
        units = check_span(span, self.units, name, self.where)
        return Location(units if self.words is None else self._characters(units), units)

    def _from_joined(self, span: Any, name: str) -> Location:
        """Reads a span of characters of the text, or of the joined words."""
        span = check_span(span, self.text, name, self.where)
        return Location(span, span) if self.words is None else self._from_words(span)

    def _from_raw_text(self, span: Any, name: str) -> Location:
        """Reads a span of characters of the `text` of a post that also has `words`."""
        assert self._raw_text is not None and self._aligned is not None
        span = check_span(span, self._raw_text, name, self.where)
        joined = self._aligned(*span)
        if joined is None:
            raise InvalidPost(
                f"{self.where}: `{name}` is {self._raw_text[slice(*span)]!r:.80} in `text`, which is not part of "
                "`words`."
            )
        return self._from_words(joined)

    def _from_characters(self, span: Span) -> Location:
        return Location(span, span if self.words is None else _overlapping_words(span, self._word_spans))

    def _from_words(self, span: Span) -> Location:
        """Extends a span of characters of the joined words to whole words."""
        units = _overlapping_words(span, self._word_spans)
        return Location(self._characters(units), units)

    def _characters(self, units: Span) -> Span:
        return trim(self.text, self._word_spans[units[0]][0], self._word_spans[units[1] - 1][1])


def check_ambiguous(ambiguous: Any, allowed: Sequence[str] = AMBIGUOUS) -> str:
    """Returns `ambiguous`; raises a `ValueError` if it is not one of the `allowed` values."""
    if ambiguous not in allowed:
        raise ValueError(f"`ambiguous` is {ambiguous!r}; expected {' or '.join(map(repr, allowed))}.")
    return ambiguous


def _parse_mapping(value: Any) -> Any:
    """Parses a mapping given as JSON, as in tables of strings; any other string is a mention."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, dict) else value


def _span_or_mention(value: str) -> tuple[Span | None, str | None]:
    """Tells a span written as `"[0, 3]"`, as in tables of strings, from a mention."""
    span = re.fullmatch(r"\s*[\[(]\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*[\])]\s*", value)
    return ((int(span[1]), int(span[2])), None) if span else (None, value)


def _overlapping_words(span: Span, words: Sequence[Span]) -> Span:
    inside = [i for i, (start, end) in enumerate(words) if start < span[1] and end > span[0]]
    return inside[0], inside[-1] + 1

"""Entities of a post, in all the ways in which people point at them."""

import json
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from .aligned_words import AlignedWords
from .entity_mapping import read_mapping
from .entity_markers import check_span, words_to_text
from .grapheme_clusters import is_visible, trim
from .invalid_post import InvalidPost
from .mention_search import Span, near_miss, occurrences
from .named_spans import agrees, miscounted, recount
from .post_containers import several_posts_hint

AMBIGUOUS = ("error", "first", "all")  # ways to treat an entity that is in the text more than once
MAX_ENTITIES = 64  # of one post, which make 4,032 ordered pairs
MOST_PLACES = 8  # in a message
# The names that token classifiers have for the types of MNRE's relations; OntoNotes' names for things go to misc.
_SAME_TYPE = {
    "per": ("per", "person", "people"),
    "org": ("org", "organization", "organisation", "corporation", "company", "group", "norp"),
    "loc": ("loc", "location", "place", "gpe", "fac", "facility"),
    "misc": ("misc", "miscellaneous", "other", "event", "product", "work_of_art", "creative-work", "law", "language"),
}
ENTITY_TYPES = {name: entity_type for entity_type, names in _SAME_TYPE.items() for name in names}


class Entity(NamedTuple):
    r"""
    One entity of a post.

    Args:
        span: `[start, end)` in characters of the text.
        units: The same in words where the post is given in words, else `span`.
        type: What kind of thing it is, as it was given; `None` where that was not said.
    """

    span: Span
    units: Span
    type: str | None = None


class PostText:
    r"""
    The text of a post, in which entities are looked up.

    A post with `text` and `words` has to have the same in both. Its words are what the model reads; an entity may be
    given in either, and a span that means something else in each is refused.

    Args:
        post: With `words` or `text`, or both.
        where: Names the post in messages.
        ambiguous: What to do about an entity that is given by what it is called, and is in the text more than once:
            `"error"`, or take the `"first"` place, or `"all"` of them.

    Raises:
        InvalidPost: There is no text, or `text` and `words` differ.
        ValueError: `ambiguous` is none of these.
    """

    def __init__(self, post: Mapping[str, Any], where: str, ambiguous: str = "error"):
        self.where, self.ambiguous = where, check_ambiguous(ambiguous)
        self.words, self._places, self._written, self._aligned = post.get("words"), [], None, None
        self.text = written = post.get("text")
        if self.words is not None:
            # `datasets` and pandas give arrays.
            is_list = isinstance(self.words, Iterable) and not isinstance(self.words, str | bytes | Mapping)
            if not is_list or not all(isinstance(word, str) for word in self.words):
                raise InvalidPost(f"{where}: `words` is {self.words!r:.80}; expected a list of words.", "words")
            self.words = list(self.words)
            self.text, self._places = words_to_text(self.words, [(i, i + 1) for i in range(len(self.words))])
        elif self.text is None:
            keys = ", ".join(map(str, post)) or "nothing"
            hint = several_posts_hint(post)
            raise InvalidPost(f"{where}: the post has no text: neither `text` nor `words`, only {keys}.{hint}", "text")
        if not isinstance(self.text, str) or not is_visible(self.text):
            field, found = ("text", self.text) if self.words is None else ("words", self.words)
            hint = several_posts_hint(post) if self.words is None else ""
            raise InvalidPost(f"{where}: the post has no text: `{field}` is {found!r:.80}.{hint}", field)
        if self.words is not None:
            self._read_written(written)

    def _read_written(self, written: Any) -> None:
        """The text that a post has beside its words; an empty cell is none."""
        is_nan = isinstance(written, float) and written != written
        if written is None or is_nan or (isinstance(written, str) and not is_visible(written)):
            return
        if not isinstance(written, str):
            raise InvalidPost(f"{self.where}: `text` is {written!r:.80}; expected a string.", "text")
        try:
            self._written, self._aligned = written, AlignedWords(written, self.text)
        except ValueError:
            raise InvalidPost(
                f"{self.where}: `text` is {written!r:.80} and `words` are {self.text!r:.80}, which have not the same "
                "letters; leave out the one that does not belong to the post.",
                "words",
            ) from None

    @property
    def units(self) -> str | list[str]:
        """What spans count: the words where there are words, else the text."""
        return self.text if self.words is None else self.words

    def entity(self, value: Any, name: str, field: str | None = None) -> Entity:
        """The first of `entities`."""
        return self.entities(value, name, field)[0]

    def entities(self, value: Any, name: str, field: str | None = None, every: bool = False) -> list[Entity]:
        r"""
        Args:
            value: A span `[start, end)` of characters or words, the same as JSON in a string, what the entity is called
                in the text, or a mapping with one or both, and maybe its type, see `read_mapping`. A span that comes
                with what the entity is called has to agree with it; of a post in words, it may count words or
                characters.
            name: What to call the entity in messages.
            field: The key of the post that it comes from; `name` by default.
            every: Whether `ambiguous="first"` is to be read as `"all"`.

        Returns:
            One entity; or with `ambiguous="all"` and what it is called one for each place, in the order of the text.

        Raises:
            InvalidPost: It is not in the text, or is there more than once; it has no visible character; or it is given
                in two ways that contradict each other.
        """
        value = _mapping_in(value)
        span, mention, kind = value, None, None
        try:
            if isinstance(value, Mapping):
                span, mention, kind = read_mapping(value, name, self.where)
            elif isinstance(value, str):
                span, mention = _span_or_mention(value)
            if span is None and mention is not None:
                found = self._called(mention, name, every)
            else:
                found = [self._at(span, name) if mention is None else self._agreeing(span, mention, name)]
        except InvalidPost as error:
            raise InvalidPost(str(error), field or name) from None
        return [Entity(*spans, kind) for spans in found]

    def _called(self, mention: str, name: str, every: bool) -> list[tuple[Span, Span]]:
        """The places of an entity of which it is only known what it is called."""
        found = [self._from_characters(span) for span in occurrences(self.text, mention)]
        if not found and self._written is not None:
            found = [self._from_written(span, name) for span in occurrences(self._written, mention)]
        if len(found) > 1 and self.ambiguous == "error":
            spans = ", ".join(f"[{units[0]}, {units[1]})" for _, units in found[:MOST_PLACES])
            more = ", …" if len(found) > MOST_PLACES else ""
            raise InvalidPost(
                f"{self.where}: `{name}` is {mention!r:.80}, which is in the text {len(found)} times; say which: "
                f"{spans}{more}; or take the first or all of them: `ambiguous='first'` or `'all'` of the pipeline, "
                "`predict` and `prepare` (`--ambiguous`), `'first'` of `TGDICollator`."
            )
        if found:
            return found if every or self.ambiguous == "all" else found[:1]
        if not is_visible(mention):
            raise InvalidPost(
                f"{self.where}: `{name}` is {mention!a:.80}, without a visible character; expected what the entity is "
                "called in the text."
            )
        hint = near_miss(self.text, mention)
        raise InvalidPost(
            f"{self.where}: `{name}` is {mention!r:.80}, which is not in the text: {self.text[:80]!r}."
            + (f" {hint}" if hint else "")
        )

    def _at(self, span: Any, name: str) -> tuple[Span, Span]:
        """Of a span of which nothing else is known."""
        if self._written is None:
            if self.words is None:
                self._check_count(span, name)
            return self._from_units(span, name)
        readings, faults = set(), []
        for read in (self._from_units, self._from_written):
            try:
                readings.add(read(span, name))
            except InvalidPost as error:
                faults.append(error)
        if not readings:
            raise faults[0]
        if len(readings) > 1:
            start, end = map(operator.index, span)
            raise InvalidPost(
                f"{self.where}: the span of `{name}`, [{start}, {end}), is {' '.join(self.words[start:end])!r:.80} in "
                f"words and {self._written[start:end]!r:.80} in characters of `text`. Leave out `text` or `words`, or "
                f"say what the entity is called, too: {{'start': {start}, 'end': {end}, 'text': …}}."
            )
        return readings.pop()

    def _check_count(self, span: Any, name: str) -> None:
        """Refuses a span of characters that was in all likelihood counted in another unit."""
        try:
            start, end = map(operator.index, span)
        except (TypeError, ValueError):
            return  # `check_span` says what is wrong with it
        if 0 <= start < end <= len(self.text) and (hint := miscounted(self.text, start, end)):
            raise InvalidPost(
                f"{self.where}: the span of `{name}`, [{start}, {end}), is {self.text[start:end]!r:.80}, which cuts a "
                f"word. {hint} Give that span; or say what the entity is called, too, if the first one is meant: "
                f"{{'start': {start}, 'end': {end}, 'text': …}}."
            )

    def _agreeing(self, span: Any, mention: str, name: str) -> tuple[Span, Span]:
        """Of a span of which it is known what it is called: token classifiers count characters, of words, too."""
        try:
            start, end = map(operator.index, span)
        except TypeError:
            return self._from_units(span, name)  # says what is wrong with it
        texts = {"characters": (self.text, self._from_joined)}
        if self.words is not None:
            texts = {"words": (self.words, self._from_units), **texts}
        if self._written is not None and self._written != self.text:
            texts["characters of `text`"] = self._written, self._from_written
        said, readings, faults = {}, set(), []
        for unit, (units, read) in texts.items():
            if 0 <= start < end <= len(units):
                found = units[start:end] if isinstance(units, str) else " ".join(units[start:end])
                said[unit] = f"{found!r:.80} in {unit}"
                if agrees(found, mention):
                    try:
                        readings.add(read((start, end), name))
                    except InvalidPost as error:
                        faults.append(error)
        if len(readings) == 1:
            return readings.pop()
        if faults and not readings:
            raise faults[0]
        if readings:
            spans = " and ".join(f"[{units[0]}, {units[1]})" for _, units in sorted(readings))
            raise InvalidPost(
                f"{self.where}: `{name}` is {mention!r:.80} from {start} to {end}, in words and in characters; in "
                f"words these are {spans}. Give the one that is meant, and not what it is called."
            )
        written = self.text if self._written is None else self._written
        hint = recount(written, start, end, mention)
        if not said and hint is None:
            return self._from_units(span, name)  # says where the text ends
        if hint is None and (places := occurrences(written, mention)):
            hint = f"{mention!r:.80} is at " + ", ".join(f"[{a}, {b})" for a, b in places[:MOST_PLACES]) + "."
        raise InvalidPost(
            f"{self.where}: `{name}` is {mention!r:.80} from {start} to {end}, but that is "
            f"{' and '.join(said.values()) or 'outside the text'}. "
            + (hint or "Mend the one or the other, or leave one out.")
        )

    def _from_units(self, span: Any, name: str) -> tuple[Span, Span]:
        units = check_span(span, self.units, name, self.where)
        return (units if self.words is None else self._characters(units)), units

    def _from_joined(self, span: Any, name: str) -> tuple[Span, Span]:
        """Of a span of characters of the text, or of the words joined."""
        span = check_span(span, self.text, name, self.where)
        return (span, span) if self.words is None else self._of_words(span)

    def _from_written(self, span: Any, name: str) -> tuple[Span, Span]:
        """Of a span of characters of the text beside the words."""
        span = check_span(span, self._written, name, self.where)
        joined = self._aligned(*span)
        if joined is None:
            raise InvalidPost(
                f"{self.where}: `{name}` is {self._written[slice(*span)]!r:.80} in `text`, and no part of `words`."
            )
        return self._of_words(joined)

    def _from_characters(self, span: Span) -> tuple[Span, Span]:
        return span, span if self.words is None else _in_words(span, self._places)

    def _of_words(self, span: Span) -> tuple[Span, Span]:
        units = _in_words(span, self._places)
        return self._characters(units), units

    def _characters(self, units: Span) -> Span:
        return trim(self.text, self._places[units[0]][0], self._places[units[1] - 1][1])


def text_and_spans(
    row: Mapping[str, Any], where: str, ambiguous: str = "error"
) -> tuple[str, tuple[Span, Span], tuple[Span, Span]]:
    r"""
    Finds head and tail of a post.

    Args:
        row: With `text` or `words`, and `head` and `tail` as for `PostText.entities`.
        where: Names the post in messages.
        ambiguous: See `PostText`; of `"all"` places this takes the first.

    Returns:
        The text; the spans of head and tail in characters; and the same in words where the post has words.

    Raises:
        InvalidPost: There is no text, or an entity is not in it, or is there more than once.
    """
    text = PostText(row, where, ambiguous)
    head, tail = _first_pair(text, row.get("head"), row.get("tail"))
    return text.text, (head.span, tail.span), (head.units, tail.units)


def head_tail_pairs(text: PostText, head: Any, tail: Any, most: int = MAX_ENTITIES) -> list[tuple[Entity, Entity]]:
    r"""
    Head and tail of a post: one pair; or with `ambiguous="all"` one for every place of the head with every place of the
    tail, in the order of the text. Of several, those with both at one place are left out.

    Raises:
        InvalidPost: See `PostText.entities`; or they have more than `most` places.
    """
    heads, tails = text.entities(head, "head"), text.entities(tail, "tail")
    if len(heads) == len(tails) == 1:
        return [_first_pair(text, head, tail)]
    if (places := len({entity.span for entity in (*heads, *tails)})) > most:
        raise InvalidPost(
            f"{text.where}: head and tail are in the text at {places} places; expected up to {most}. Give the "
            "spans of those that are meant.",
            "head" if len(heads) > len(tails) else "tail",
        )
    return [(head, tail) for head in heads for tail in tails if head.span != tail.span]


def _first_pair(text: PostText, head: Any, tail: Any) -> tuple[Entity, Entity]:
    """Head and tail; of several places the first ones that are not one and the same."""
    first = text.entity(head, "head"), text.entity(tail, "tail")
    if text.ambiguous == "first" and first[0].span == first[1].span:
        heads, tails = text.entities(head, "head", every=True), text.entities(tail, "tail", every=True)
        pairs = ((one, two) for one in heads for two in tails if one.span != two.span)
        return next(pairs, first)
    return first


def check_ambiguous(ambiguous: Any, allowed: Sequence[str] = AMBIGUOUS) -> str:
    """Raises a `ValueError` for what is no way to treat entities that are in a text more than once."""
    if ambiguous not in allowed:
        raise ValueError(f"`ambiguous` is {ambiguous!r}; expected {' or '.join(map(repr, allowed))}.")
    return ambiguous


def type_of(label: str | None) -> str | None:
    """What the relations of MNRE call a type (`"B-PERSON"` → `"per"`), in lower case; other types stay as they are."""
    if label is None:
        return None
    label = re.sub(r"^[BIESLU]-", "", label).lower()
    return ENTITY_TYPES.get(label, label)


def _mapping_in(value: Any) -> Any:
    """Tables of strings have mappings as JSON; what is none is what an entity is called."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return value
    try:
        found = json.loads(value)
    except (ValueError, RecursionError):
        return value
    return found if isinstance(found, dict) else value


def _span_or_mention(value: str) -> tuple[Span | None, str | None]:
    """Tables of strings have spans as `"[0, 3]"`."""
    span = re.fullmatch(r"\s*[\[(]\s*([0-9]{1,9})\s*,\s*([0-9]{1,9})\s*[\])]\s*", value)
    return ((int(span[1]), int(span[2])), None) if span else (None, value)


def _in_words(span: Span, words: Sequence[Span]) -> Span:
    inside = [i for i, (start, end) in enumerate(words) if start < span[1] and end > span[0]]
    return inside[0], inside[-1] + 1

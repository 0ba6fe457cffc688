"""Entity markers: checking the spans of head and tail, and cutting a text at its markers."""

from collections.abc import Sequence
from operator import index
from typing import NamedTuple

from .grapheme_clusters import has_no_glyph, is_boundary, trim, whole_span
from .invalid_post import InvalidPost

HEAD_START, HEAD_END, TAIL_START, TAIL_END = "<head>", "</head>", "<tail>", "</tail>"
ENTITY_MARKERS = (HEAD_START, HEAD_END, TAIL_START, TAIL_END)


def check_span(span: Sequence[int], units: str | Sequence[str], name: str, where: str) -> tuple[int, int]:
    r"""
    Checks the span of an entity, and trims white space and invisible characters from both of its ends.

    Args:
        span: `[start, end)`.
        units: The text or the list of words that the span indexes.
        name: `"head"` or `"tail"`.
        where: Names the row in messages.

    Returns:
        `[start, end)` from the first to the last visible character. Spans of words are not trimmed.

    Raises:
        InvalidPost: The span is not two integers with 0 ≤ start < end ≤ length, contains no visible character, or cuts
            a grapheme cluster, such as a letter with its accent.
    """
    unit, length = "characters" if isinstance(units, str) else "words", len(units)
    try:
        start, end = map(index, span)
    except (TypeError, ValueError):
        raise InvalidPost(
            f"{where}: `{name}` is {span!r:.80}; expected a span [start, end) of two integers.", name
        ) from None
    if not 0 <= start < end <= length:
        fault = "is empty" if start == end else "is reversed" if start > end else "lies outside the text"
        raise InvalidPost(
            f"{where}: the span of `{name}`, [{start}, {end}), {fault}; expected 0 ≤ start < end ≤ {length}, the "
            f"number of {unit}. The end is exclusive.",
            name,
        )
    text, found = (units, units[start:end]) if isinstance(units, str) else (None, " ".join(units[start:end]))
    first, last = trim(found)
    if first == last:
        raise InvalidPost(
            f"{where}: the span of `{name}`, [{start}, {end}), has no visible character, only {found!a:.80}; expected "
            "the span of an entity.",
            name,
        )
    if text is None:
        return start, end
    first, last = start + first, start + last
    # The first trimmed character may be the accent of the letter before; joiners and variation selectors may be
    # trimmed.
    cuts_before = first > start and not has_no_glyph(text[start]) and not is_boundary(text, start)
    if cuts_before or not (is_boundary(text, first) and is_boundary(text, last)):
        whole = trim(text, *whole_span(text, start, end))
        raise InvalidPost(
            f"{where}: the span of `{name}`, [{start}, {end}), is {found!r:.80}, which cuts a character in two; the "
            f"nearest whole span is [{whole[0]}, {whole[1]}), {text[slice(*whole)]!r:.80}.",
            name,
        )
    return first, last


def words_to_text(words: Sequence[str], spans: Sequence[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    r"""
    Joins words by single spaces, and converts spans of words to spans of characters.

    Args:
        words: The words of one text.
        spans: `[start, end)` in words.

    Returns:
        The text, and the same spans in characters; the span of an empty word is empty.
    """
    starts, position = [], 0
    for word in words:
        starts.append(position)
        position += len(word) + 1
    return " ".join(words), [(starts[start], starts[end - 1] + len(words[end - 1])) for start, end in spans]


class MarkedText(NamedTuple):
    """The five segments of a text, any of which may be empty, and the four markers between them."""

    segments: list[str]
    markers: list[str]


def cut_at_markers(text: str, head: tuple[int, int], tail: tuple[int, int]) -> MarkedText:
    r"""
    Cuts a text at the positions of its markers.

    If several markers share a position, closing markers precede opening ones, inner closing markers precede outer ones,
    and outer opening markers precede inner ones, so that nested entities get nested markers; of two identical spans,
    the head is the outer one. Overlapping entities get overlapping markers.

    A space before a marker moves behind it, to the following word: byte-level vocabularies (RoBERTa) contain words
    with the space before them, and other tokenizers drop spaces.

    Args:
        text: Any text.
        head, tail: `[start, end)` in characters; empty for an empty word.
    """
    cuts = []
    for rank, (start, end), opening, closing in ((0, head, HEAD_START, HEAD_END), (1, tail, TAIL_START, TAIL_END)):
        # Opening markers at one position: the longer, that is outer, entity first. Closing markers: the entity with the
        # later start, that is the inner one, first. An empty entity closes right after it opens.
        cuts.append((start, 1, -end, rank, 0, opening))
        cuts.append((end, 0, -start, -rank, 0, closing) if end > start else (start, 1, -end, rank, 1, closing))
    cuts.sort()
    segments, position = [], 0
    for cut in cuts:
        place = cut[0]
        if place > position and text[place - 1] == " ":
            place -= 1
        segments.append(text[position:place])
        position = place
    segments.append(text[position:])
    return MarkedText(segments, [cut[-1] for cut in cuts])


def truncate_around_entities(ids: list[int], entities: Sequence[tuple[int, int]], budget: int) -> list[int]:
    r"""
    Truncates a text around its entities.

    The window keeps all tokens from the first to the last marker, with the same amount of context on both sides. If the
    entities are too far apart for one window, each keeps its own neighbourhood; if they are too long, they keep the
    tokens next to their markers. Markers are always kept.

    Args:
        ids: The token ids of the text, with its markers.
        entities: The positions in `ids` of the opening and the closing marker of each entity.
        budget: The number of tokens to keep, at least the four markers.

    Returns:
        At most `budget` of the token ids, in their order.
    """
    if len(ids) <= budget:
        return ids
    markers = [position for entity in entities for position in entity]
    first, last = min(markers), max(markers)
    if last - first < budget:
        context = budget - (last - first + 1)
        start = min(max(first - context // 2, 0), len(ids) - budget)
        return ids[start : start + budget]

    def distance(i: int) -> tuple[int, int]:
        entity = min(max(start - i, i - end, 0) for start, end in entities)  # 0 inside
        return entity, min(abs(i - marker) for marker in markers)

    nearest = sorted(range(len(ids)), key=distance)[:budget]
    return [ids[i] for i in sorted(nearest)]

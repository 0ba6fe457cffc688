"""From a text and two spans to token ids with entity markers in place."""

from collections.abc import Sequence
from operator import index

from .grapheme_clusters import has_no_glyph, is_boundary, trim, whole_span
from .invalid_post import InvalidPost

HEAD_START, HEAD_END, TAIL_START, TAIL_END = "<head>", "</head>", "<tail>", "</tail>"
ENTITY_MARKERS = (HEAD_START, HEAD_END, TAIL_START, TAIL_END)


def check_span(span: Sequence[int], units: str | Sequence[str], name: str, where: str) -> tuple[int, int]:
    r"""
    Checks one entity's span, and trims it: blanks and invisible characters around an entity are no part of it.

    Args:
        span: `[start, end)`.
        units: What it counts: a text, or a list of words.
        name: `"head"` or `"tail"`.
        where: Names the row in messages.

    Returns:
        `[start, end)` from the first visible character to the last. Spans of words are as they were.

    Raises:
        InvalidPost: Anything but two integers with 0 ≤ start < end ≤ length; or a span without a visible character, or
            one that cuts a character of a reader, such as a letter from its accent.
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
            f"number of {unit}. The end is the first of the {unit} after the entity.",
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
    # What is trimmed off may be the accent of the letter before; a joiner or a variation selector may go.
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
    Joins words with single spaces and carries spans of words over to characters.

    Args:
        words: The words of one text.
        spans: `[start, end)` in words.

    Returns:
        The text and the same spans in characters. Those of empty words are empty.
    """
    starts, position = [], 0
    for word in words:
        starts.append(position)
        position += len(word) + 1
    return " ".join(words), [(starts[start], starts[end - 1] + len(words[end - 1])) for start, end in spans]


def cut_at_markers(text: str, head: tuple[int, int], tail: tuple[int, int]) -> tuple[list[str], list[str]]:
    r"""
    Cuts a text where markers belong.

    Where several markers meet, closing ones come before opening ones, inner closing before outer closing and outer
    opening before inner opening, so that nested entities get nested markers; of two identical spans the head is the
    outer one. Entities that cross get crossing markers.

    A space before a marker moves behind it, to the word that follows: byte-level vocabularies (RoBERTa) hold words
    with the space before them, and other tokenizers drop spaces anyway.

    Args:
        text: Any text.
        head: `[start, end)` in characters; may be empty for an empty word.
        tail: Likewise.

    Returns:
        Five segments, which joined are the text and of which any may be empty, and the four markers between them.
    """
    cuts = []
    for rank, (start, end), opening, closing in ((0, head, HEAD_START, HEAD_END), (1, tail, TAIL_START, TAIL_END)):
        # Opening at one place: the longer, that is outer, entity first. Closing: the later begun, that is inner, first.
        # An empty entity closes right after it opens.
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
    return segments, [cut[-1] for cut in cuts]


def truncate_around_entities(ids: list[int], entities: Sequence[tuple[int, int]], budget: int) -> list[int]:
    r"""
    Shortens a text around its entities.

    The window keeps everything from the first marker to the last and equally much context on both sides. Entities too
    far apart for that keep a neighbourhood each, and entities too long to be kept whole keep the tokens next to their
    markers. Markers are always kept.

    Args:
        ids: The text's tokens, markers included.
        entities: The positions in `ids` of each entity's opening and closing marker.
        budget: How many tokens to keep, at least the four markers.

    Returns:
        At most `budget` of the tokens, in their order.
    """
    if len(ids) <= budget:
        return ids
    markers = [position for entity in entities for position in entity]
    first, last = min(markers), max(markers)
    if last - first < budget:
        context = budget - (last - first + 1)
        start = min(max(first - context // 2, 0), len(ids) - budget)
        return ids[start : start + budget]

    def nearness(i: int) -> tuple[int, int]:
        entity = min(max(start - i, i - end, 0) for start, end in entities)  # 0 inside
        return entity, min(abs(i - marker) for marker in markers)

    nearest = sorted(range(len(ids)), key=nearness)[:budget]
    return [ids[i] for i in sorted(nearest)]

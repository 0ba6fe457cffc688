"""From a text and two spans to token ids with entity markers in place."""

from collections.abc import Sequence
from numbers import Integral

HEAD_START, HEAD_END, TAIL_START, TAIL_END = "<head>", "</head>", "<tail>", "</tail>"
ENTITY_MARKERS = (HEAD_START, HEAD_END, TAIL_START, TAIL_END)


def check_span(span: Sequence[int], length: int, name: str, unit: str, where: str) -> tuple[int, int]:
    r"""
    Checks one entity's span.

    Args:
        span: `[start, end)`.
        length: How many characters or words there are.
        name: `"head"` or `"tail"`.
        unit: `"characters"` or `"words"`.
        where: Names the row in messages.

    Raises:
        ValueError: Anything but two integers with 0 ≤ start < end ≤ length.
    """
    try:
        start, end = span
    except (TypeError, ValueError):
        raise ValueError(f"{where}: `{name}` is {span!r}; expected a span [start, end) of two integers.") from None
    if not (isinstance(start, Integral) and isinstance(end, Integral)):
        raise ValueError(f"{where}: `{name}` is {span!r}; expected a span [start, end) of two integers.")
    if not 0 <= start < end <= length:
        fault = "is empty" if start == end else "is reversed" if start > end else "lies outside the text"
        raise ValueError(
            f"{where}: the span of `{name}`, [{start}, {end}), {fault}; expected 0 ≤ start < end ≤ {length}, the "
            f"number of {unit}."
        )
    return int(start), int(end)


def words_to_text(words: Sequence[str], spans: Sequence[tuple[int, int]]) -> tuple[str, list[tuple[int, int]]]:
    r"""
    Joins words with single spaces and carries spans of words over to characters.

    Args:
        words: The words of one text.
        spans: `[start, end)` in words.

    Returns:
        The text and the same spans in characters.
    """
    starts, position = [], 0
    for word in words:
        starts.append(position)
        position += len(word) + 1
    return " ".join(words), [(starts[start], starts[end - 1] + len(words[end - 1])) for start, end in spans]


def split_at_markers(text: str, head: tuple[int, int], tail: tuple[int, int]) -> list[tuple[str, bool]]:
    r"""
    Cuts a text where markers belong.

    Where several markers meet, closing ones come before opening ones, inner closing before outer closing and outer
    opening before inner opening, so that nested entities get nested markers; of two identical spans the head is the
    outer one. Entities that cross get crossing markers.

    Returns:
        Pieces in order: `(piece of text, False)` or `(marker, True)`. No piece is empty.
    """
    markers = []
    for rank, (start, end), opening, closing in ((0, head, HEAD_START, HEAD_END), (1, tail, TAIL_START, TAIL_END)):
        # Opening at one place: the longer, that is outer, entity first. Closing: the later begun, that is inner, first.
        markers.append(((start, 1, -end, rank), opening))
        markers.append(((end, 0, -start, -rank), closing))
    pieces, position = [], 0
    for key, marker in sorted(markers):
        if key[0] > position:
            pieces.append((text[position : key[0]], False))
            position = key[0]
        pieces.append((marker, True))
    if position < len(text):
        pieces.append((text[position:], False))
    return pieces


def fit(ids: list[int], markers: list[int], budget: int) -> list[int]:
    r"""
    Shortens a text around its entities.

    The window keeps everything from the first marker to the last and equally much context on both sides; where even
    that is too long, the neighbourhood of each marker is kept. A marker is never cut.

    Args:
        ids: The text's tokens, markers included.
        markers: The positions of the four markers in `ids`.
        budget: How many tokens to keep, at least four.

    Returns:
        At most `budget` of the tokens, in their order.
    """
    if len(ids) <= budget:
        return ids
    first, last = min(markers), max(markers)
    if last - first < budget:
        left = min(first, max(budget - (last - first + 1), 0) // 2)
        start = min(first - left, len(ids) - budget)
        return ids[start : start + budget]
    nearest = sorted(range(len(ids)), key=lambda i: min(abs(i - marker) for marker in markers))
    return [ids[i] for i in sorted(nearest[:budget])]

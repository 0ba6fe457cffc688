"""Grapheme clusters: the positions at which a text may be cut, and its visible characters."""

from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

import regex  # transformers requires it

# By the Unicode rules, some vowel signs of Myanmar begin a cluster of their own; readers do not separate them.
_CLUSTER = regex.compile(r"\X(?:(?=\p{M})(?<!\p{C})\X)*")
# All characters except white space, characters without a glyph of their own (zero-width characters, bidirectional
# marks, variation selectors, the object replacement character, …), and accents, which need a base character.
_VISIBLE = regex.compile(r"[^\s\p{DI}\p{Cc}\p{Mn}\p{Me}\uFFF9-\uFFFC\u2800]")
_NO_GLYPH = regex.compile(r"\p{DI}")
# A joiner at the end of a cluster joins nothing and is not part of it, unless it follows a virama (the chillus of
# Malayalam). A variation selector only affects symbols, emoji, ideographs and the letters of a few scripts.
_JOINERS, _SELECTORS = r"\u034F\u200C\u200D", r"\uFE00-\uFE0F\U000E0100-\U000E01EF"
_DANGLING = regex.compile(
    rf"(?V1)[^\p{{CCC=9}}{_JOINERS}]\K[{_JOINERS}]+$|"
    r"[[\p{L}\p{M}\p{N}\p{P}]--[\p{DI}\p{ExtPict}\p{CCC=9}\p{Han}\p{Mongolian}\p{Phags_Pa}\p{Myanmar}]]"
    rf"\K[{_JOINERS}{_SELECTORS}]+$"
)
_JOINING = regex.compile(r"[\p{GCB=Extend}\p{M}\u200D]")
# Characters to search backwards for an ASCII character before the clusters of the whole text are computed, once.
_NEARBY = 64


def is_visible(text: str) -> bool:
    """Whether a text contains a visible character; an accent without a base character does not count."""
    return _VISIBLE.search(text) is not None


def has_no_glyph(character: str) -> bool:
    """Whether a character only affects others: joiners, variation selectors, bidirectional marks."""
    return _NO_GLYPH.match(character) is not None


def characters(text: str, first: int = 0) -> Iterator[tuple[int, int]]:
    """The spans `[start, end)` of the grapheme clusters of a text from `first` on; dangling joiners are spans of their
    own."""
    for cluster in _CLUSTER.finditer(text, first):
        start, end = cluster.span()
        if end - start > 1 and (dangling := _DANGLING.search(cluster[0])):
            yield start, start + dangling.start()
            start += dangling.start()
        yield start, end


def is_boundary(text: str, place: int) -> bool:
    """Whether a text can be cut at a position without splitting a cluster: a letter with its accent, a flag."""
    if not 0 < place < len(text):
        return True
    before, after = text[place - 1], text[place]
    # U+0300 is the first character that joins others. A line break of two characters may be cut.
    if (before < "\u0300" and after < "\u0300") or before == "\r":
        return True
    # Two characters decide, unless the decision depends on those before them.
    if not _JOINING.match(before):
        cluster = _CLUSTER.match(before + after)
        assert cluster is not None  # every character begins a cluster
        if cluster.end() == 1:
            return True
    return place in _around(text, place)


def _around(text: str, place: int) -> tuple[int, int]:
    """The cluster that contains a position or ends there."""
    first = place - 1
    while first and not text[first].isascii():  # no cluster continues after an ASCII character
        first -= 1
        if place - first > _NEARBY:
            ends = _ends(text)
            i = bisect_left(ends, place)
            return (ends[i - 1] if i else 0), ends[i]
    return next((start, end) for start, end in characters(text, first) if end >= place)


@lru_cache(16)
def _ends(text: str) -> list[int]:
    return [end for _, end in characters(text)]


def whole_span(text: str, start: int, end: int) -> tuple[int, int]:
    """Extends the span `[start, end)` to whole clusters."""
    if not is_boundary(text, start):
        start = _around(text, start)[0]
    if not is_boundary(text, end):
        end = _around(text, end)[1]
    return start, end


def _is_plain(character: str) -> bool:
    """Whether a single code point is visible by itself."""
    return "!" <= character <= "~" or _VISIBLE.match(character) is not None


def trim(text: str, start: int = 0, end: int | None = None) -> tuple[int, int]:
    """Trims a span to its first and last visible characters; the result is empty if it contains none."""
    end = len(text) if end is None else end
    if start < end and _is_plain(text[start]) and _is_plain(text[end - 1]):
        return start, end
    part = text[start:end]
    visible = [(first, last) for first, last in characters(part) if is_visible(part[first:last])]
    return (start + visible[0][0], start + visible[-1][1]) if visible else (start, start)

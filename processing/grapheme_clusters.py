"""What a reader takes for one character: where a text may be cut, and what of it can be seen."""

from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache

import regex  # transformers requires it

# Unicode cuts before some of Myanmar's vowel signs; nobody else does.
_CLUSTER = regex.compile(r"\X(?:(?=\p{M})(?<!\p{C})\X)*")
# Blanks, characters that have no glyph of their own (zero-width characters, bidirectional marks, variation selectors,
# the object replacement character, …), and accents, which need another character to stand on.
_VISIBLE = regex.compile(r"[^\s\p{DI}\p{Cc}\p{Mn}\p{Me}\uFFF9-\uFFFC\u2800]")
_NO_GLYPH = regex.compile(r"\p{DI}")
# A joiner at the end of a character joins nothing, and is no part of it, unless it comes after a virama (Malayalam's
# chillus). A variation selector changes symbols, emoji, ideographs and the letters of a few scripts, and no others.
_JOINERS, _SELECTORS = r"\u034F\u200C\u200D", r"\uFE00-\uFE0F\U000E0100-\U000E01EF"
_DANGLING = regex.compile(
    rf"(?V1)[^\p{{CCC=9}}{_JOINERS}]\K[{_JOINERS}]+$|"
    r"[[\p{L}\p{M}\p{N}\p{P}]--[\p{DI}\p{ExtPict}\p{CCC=9}\p{Han}\p{Mongolian}\p{Phags_Pa}\p{Myanmar}]]"
    rf"\K[{_JOINERS}{_SELECTORS}]+$"
)
_JOINING = regex.compile(r"[\p{GCB=Extend}\p{M}\u200D]")
_NEARBY = 64  # characters; a long text without an ASCII one is looked through once, not at every place


def is_visible(text: str) -> bool:
    """Whether a text has a character that can be seen; accents without anything to stand on do not count."""
    return _VISIBLE.search(text) is not None


def has_no_glyph(character: str) -> bool:
    """Whether a character only has an effect on others: joiners, variation selectors, bidirectional marks."""
    return _NO_GLYPH.match(character) is not None


def characters(text: str, first: int = 0) -> Iterator[tuple[int, int]]:
    """Where the characters of a text stand, `[start, end)`: its grapheme clusters, dangling joiners on their own. The
    first one is at `first`."""
    for cluster in _CLUSTER.finditer(text, first):
        start, end = cluster.span()
        if end - start > 1 and (dangling := _DANGLING.search(cluster[0])):
            yield start, start + dangling.start()
            start += dangling.start()
        yield start, end


def is_boundary(text: str, place: int) -> bool:
    """Whether a text can be cut at a place without cutting a character: a letter from its accent, a family, a flag."""
    if not 0 < place < len(text):
        return True
    before, after = text[place - 1 : place + 1]
    # U+0300 is the first character that joins others. Line ends are cut as they come.
    if (before < "\u0300" and after < "\u0300") or before == "\r":
        return True
    # Two characters tell, unless it depends on what stands before them.
    if not _JOINING.match(before) and _CLUSTER.match(before + after).end() == 1:
        return True
    return place in _around(text, place)


def _around(text: str, place: int) -> tuple[int, int]:
    """The character that a place is in, or that ends there."""
    first = place - 1
    while first and not text[first].isascii():  # no character begins before an ASCII one and goes on after it
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
    """The span with all of the characters that `[start, end)` has a part of."""
    if not is_boundary(text, start):
        start = _around(text, start)[0]
    if not is_boundary(text, end):
        end = _around(text, end)[1]
    return start, end


def _is_plain(character: str) -> bool:
    """Whether one code point can be seen by itself."""
    return "!" <= character <= "~" or _VISIBLE.match(character) is not None


def trim(text: str, start: int = 0, end: int | None = None) -> tuple[int, int]:
    """The part of a span from its first visible character to its last; an empty span if there is none."""
    end = len(text) if end is None else end
    if start < end and _is_plain(text[start]) and _is_plain(text[end - 1]):
        return start, end
    part = text[start:end]
    visible = [(first, last) for first, last in characters(part) if is_visible(part[first:last])]
    return (start + visible[0][0], start + visible[-1][1]) if visible else (start, start)

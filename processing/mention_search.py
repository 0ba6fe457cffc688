"""Searching a text for the occurrences of a mention."""

import unicodedata
from collections.abc import Callable

import regex  # transformers requires it

from .grapheme_clusters import characters, is_boundary, trim

# Scripts written without spaces between words. Korean has spaces, but attaches particles to names (오바마는, "Obama"
# as a topic), and posts often omit the spaces.
_UNSPACED = regex.compile(
    "["
    + "".join(
        rf"\p{{scx={script}}}"
        for script in (
            *("Han", "Hiragana", "Katakana", "Bopomofo", "Hangul", "Yi", "Tangut", "Nushu", "Khitan_Small_Script"),
            *("Thai", "Lao", "Khmer", "Myanmar", "Tibetan", "Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Ahom"),
            *("Javanese", "Balinese", "Phags_Pa"),
        )
    )
    + "]"
)
_WORD = regex.compile(r"[\p{L}\p{N}\p{Pc}]")
_SKIPPED = regex.compile(r"[\p{M}\p{DI}]")
_ZERO_WIDTH_SPACE = "\u200b"
_MARKS = regex.compile(r"\p{M}+")
_BLANKS = regex.compile(r"[\s\p{DI}\p{Cc}]+")
_QUOTES = str.maketrans("‘’‚‛ʼ´`“”„‟«»‐‑‒–—−", "'''''''\"\"\"\"\"\"------")
_LONGEST_FOLD = 18  # letters that one character stands for: U+FDFA

Span = tuple[int, int]


def occurrences(text: str, mention: str) -> list[Span]:
    r"""
    Finds the occurrences of a mention in text order, overlapping ones included: "Bora Bora" occurs twice in "Bora Bora
    Bora". Canonically equivalent spellings match ("é" as one code point or two), and no grapheme cluster, such as a
    flag or a letter with its accents, is cut.

    Occurrences inside longer words count only if there are no others. In scripts without spaces between words, longer
    words cannot be recognized, and every occurrence counts.

    Args:
        text: Any text.
        mention: The mention; white space and invisible characters around it are ignored.

    Returns:
        Spans `[start, end)` in characters (code points) of `text`.
    """
    mention = mention[slice(*trim(mention))]
    places = _equivalent(text, unicodedata.normalize("NFC", mention)) if mention else []
    if len(places) < 2:
        return places
    whole = [(start, end) for start, end in places if not (inside_word(text, start) or inside_word(text, end))]
    return whole or places


def near_miss(text: str, mention: str) -> str | None:
    """Describes the most similar string in a text that lacks the mention, for messages; `None` if there is none."""
    mention = mention[slice(*trim(mention))]
    for difference, fold in (
        ("case", _fold_case),
        ("white space or invisible characters", _fold_blanks),
        ("quotes or dashes", _fold_quotes),
        ("compatibility characters, such as ligatures or full-width letters", _fold_compatibility),
        ("accents or other marks", _fold_marks),
        ("case, accents, or the spelling of characters", _fold_all),
    ):
        if places := _folded(text, mention, fold):
            start, end = places[0]
            return f"The text has {text[start:end]!r} at [{start}, {end}), which differs in {difference}."
    return None


def _equivalent(text: str, mention: str) -> list[Span]:
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        # In normalized texts, equivalent substrings of whole clusters are equal.
        return [
            (start, start + len(mention))
            for start in _find_all(text, mention)
            if is_boundary(text, start) and is_boundary(text, start + len(mention))
        ]
    return _folded(text, mention, _decompose)


def _find_all(text: str, part: str) -> list[int]:
    starts, start = [], text.find(part)
    while start >= 0:
        starts.append(start)
        start = text.find(part, start + 1)
    return starts


def _folded(text: str, mention: str, fold: Callable[[str], str]) -> list[Span]:
    """The spans of a text that equal the mention after both are folded, cluster by cluster."""
    if len(mention) > _LONGEST_FOLD * len(text):  # hopeless, and minutes for a mention of a million characters
        return []
    wanted = "".join(fold(mention[start:end]) for start, end in characters(mention))
    starts, ends, pieces, size = {}, {}, [], 0
    for start, end in characters(text):
        piece = fold(text[start:end])
        if piece:
            starts[size] = start
            size += len(piece)
            ends[size] = end
            pieces.append(piece)
    found = _find_all("".join(pieces), wanted) if wanted else []
    return [
        (starts[start], ends[start + len(wanted)]) for start in found if start in starts and start + len(wanted) in ends
    ]


def inside_word(text: str, place: int) -> bool:
    """Whether a position is inside a word, for scripts with spaces between words."""
    before, after = _beside(text, place, -1), _beside(text, place, 1)
    if before.isascii() and after.isascii():
        return (before.isalnum() or before == "_") and (after.isalnum() or after == "_")
    if not (_WORD.match(before) and _WORD.match(after)):
        return False
    return not (_UNSPACED.match(before) or _UNSPACED.match(after))


def _beside(text: str, place: int, step: int) -> str:
    """The character before or after a position, skipping accents and joiners; a space at the end of the text."""
    i = place if step > 0 else place - 1
    while 0 <= i < len(text) and text[i] > "~" and text[i] != _ZERO_WIDTH_SPACE and _SKIPPED.match(text[i]):
        i += step
    return text[i] if 0 <= i < len(text) else " "


def _decompose(character: str) -> str:
    return unicodedata.normalize("NFD", character)


def _fold_case(character: str) -> str:
    return _decompose(character.lower())


def _fold_compatibility(character: str) -> str:
    return unicodedata.normalize("NFKD", character)


def _fold_marks(character: str) -> str:
    return _MARKS.sub("", _decompose(character))


def _fold_blanks(character: str) -> str:
    return _BLANKS.sub("", _decompose(character))


def _fold_quotes(character: str) -> str:
    return _decompose(character.translate(_QUOTES))


def _fold_all(character: str) -> str:
    folded = unicodedata.normalize("NFKD", character.translate(_QUOTES)).casefold()
    return _BLANKS.sub("", _MARKS.sub("", unicodedata.normalize("NFKD", folded)))

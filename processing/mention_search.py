"""Where a text has an entity that is given by what it is called."""

import unicodedata
from collections.abc import Callable

import regex  # transformers requires it

from .grapheme_clusters import characters, is_boundary, trim

# Scripts whose words are written without spaces between them. Korean has spaces, but glues particles to names
# (오바마는, "Obama" as a topic), and posts leave spaces out.
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
_PASSED_OVER = regex.compile(r"[\p{M}\p{DI}]")
_ZERO_WIDTH_SPACE = "\u200b"
_MARKS = regex.compile(r"\p{M}+")
_BLANKS = regex.compile(r"[\s\p{DI}\p{Cc}]+")
_QUOTES = str.maketrans("‘’‚‛ʼ´`“”„‟«»‐‑‒–—−", "'''''''\"\"\"\"\"\"------")

Span = tuple[int, int]


def occurrences(text: str, mention: str) -> list[Span]:
    r"""
    Where a text has a mention, in the order of the text; overlapping places, too: "Bora Bora" is twice in "Bora Bora
    Bora". Canonically equivalent spellings are the same ("é" as one code point or two), and no character of a reader,
    such as a flag or a letter with its accents, is cut.

    Places inside of longer words count only if there are no others. What a longer word is can't be seen where words are
    written without spaces: there every place counts.

    Args:
        text: Any text.
        mention: What the entity is called; blanks and invisible characters around it do not count.

    Returns:
        Spans `[start, end)` in characters (code points) of the text as it is given.
    """
    mention = mention[slice(*trim(mention))]
    places = _equivalent(text, unicodedata.normalize("NFC", mention)) if mention else []
    if len(places) < 2:
        return places
    whole = [(start, end) for start, end in places if not (inside_word(text, start) or inside_word(text, end))]
    return whole or places


def near_miss(text: str, mention: str) -> str | None:
    """What a text has in the place of a mention that it has not, for messages; `None` if there is nothing like it."""
    mention = mention[slice(*trim(mention))]
    for difference, fold in (
        ("case", _fold_case),
        ("white space or invisible characters", _fold_blanks),
        ("quotes or dashes", _fold_quotes),
        ("compatibility characters, such as ligatures or full-width letters", _fold_compatibility),
        ("accents or other marks", _fold_marks),
        ("case, accents, or the way in which characters are written", _fold_all),
    ):
        if places := _folded(text, mention, fold):
            start, end = places[0]
            return f"The text has {text[start:end]!r} at [{start}, {end}), which differs in {difference}."
    return None


def _equivalent(text: str, mention: str) -> list[Span]:
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        # Of normalized texts, equivalent parts that cut no character are equal.
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
    """Where a text has something that is the same as a mention when both are folded, character by character."""
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
    """Whether a word of a script with spaces between words goes on at a place."""
    before, after = _beside(text, place, -1), _beside(text, place, 1)
    if before.isascii() and after.isascii():
        return (before.isalnum() or before == "_") and (after.isalnum() or after == "_")
    if not (_WORD.match(before) and _WORD.match(after)):
        return False
    return not (_UNSPACED.match(before) or _UNSPACED.match(after))


def _beside(text: str, place: int, step: int) -> str:
    """The letter before or after a place, accents, joiners and the like passed over; a space where there is none."""
    i = place if step > 0 else place - 1
    while 0 <= i < len(text) and text[i] > "~" and text[i] != _ZERO_WIDTH_SPACE and _PASSED_OVER.match(text[i]):
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

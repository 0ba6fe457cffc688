"""Spans with a mention: whether the two agree, and other units that the span may count."""

import re
import unicodedata
from collections.abc import Iterator

import regex  # transformers requires it

from .grapheme_clusters import is_visible
from .mention_search import inside_word

# Marks that tokenizers add to words: WordPiece, SentencePiece, byte-level BPE, BERTweet, XLM.
_PIECES = re.compile(r"(?<!\S)##(?=\S)|@@(?!\S)|</w>|[▁Ġ]")
_UNKNOWN = re.compile(r"\[UNK\]|<unk>")
_LEFT_OUT = regex.compile(r"[\s\p{M}\p{DI}\p{Cc}]+")


def agrees(found: str, mention: str) -> bool:
    r"""
    Whether the text of a span equals a mention up to changes by a tokenizer: case, accents, white space, compatibility
    characters, subword marks ("##", "▁"), and unknown tokens ("[UNK]"), which match any text.
    """
    if found == mention:
        return True
    found, mention = (_PIECES.sub(" ", text) for text in (found, mention))
    known = [_spelled(part) for part in _UNKNOWN.split(mention)]
    if len(known) == 1:
        return _spelled(found) == known[0]
    return re.fullmatch(".+".join(map(re.escape, known)), _spelled(found), re.DOTALL) is not None


def _spelled(text: str) -> str:
    folded = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return _LEFT_OUT.sub("", folded)


def recount(text: str, start: int, end: int, mention: str) -> str | None:
    """Describes the unit other than characters in which a span agrees with the mention, for messages."""
    for unit, (first, last) in _other_readings(text, start, end):
        if agrees(text[first:last], mention):
            return f"The offsets fit in {unit}; in characters (code points) the span is [{first}, {last})."
    return None


def miscounted(text: str, start: int, end: int) -> str | None:
    r"""
    Describes the unit that a span without a mention probably counts instead of characters, for messages: the span cuts
    a word, but does not in that unit. `None` if there is no such unit.
    """
    if text.isascii() or not (inside_word(text, start) or inside_word(text, end)):
        return None
    for unit, (first, last) in _other_readings(text, start, end):
        if (first, last) != (start, end) and not (inside_word(text, first) or inside_word(text, last)):
            found = text[first:last]
            if found == found.strip() and is_visible(found):
                return f"Counted in {unit}, it is {found!r:.80}, in characters (code points) [{first}, {last})."
    return None


def _other_readings(text: str, start: int, end: int) -> Iterator[tuple[str, tuple[int, int]]]:
    """The units that a span may count, with the span converted to characters."""
    if not 0 <= start < end:
        return
    for encoding, width, unit in (
        ("utf-16-le", 2, "UTF-16 units, as JavaScript and Java count"),
        ("utf-8", 1, "UTF-8 bytes, as Rust and Go count"),
    ):
        units = text.encode(encoding, "surrogatepass")
        try:
            before, found = (units[a * width : b * width].decode(encoding) for a, b in ((0, start), (start, end)))
        except UnicodeDecodeError:
            continue
        if found and end * width <= len(units):
            yield unit, (len(before), len(before) + len(found))

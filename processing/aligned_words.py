"""Alignment of a text with its words."""

import unicodedata
from collections.abc import Callable


class AlignedWords:
    r"""
    Aligns the characters of a text with those of its words joined by spaces. The two must be equal apart from white
    space, or at least contain the same letters and digits.

    Args:
        text: The original text.
        joined: Its words, joined by single spaces.

    Raises:
        ValueError: The two texts differ.
    """

    def __init__(self, text: str, joined: str):
        for fold in (_without_blanks, _letters):
            spelled, self._places = _spelled(text, fold)
            other, self._in_joined = _spelled(joined, fold)
            if spelled == other and spelled:
                return
        raise ValueError("the letters differ")

    def __call__(self, start: int, end: int) -> tuple[int, int] | None:
        """Maps a span of the text to the joined words; `None` if it contains none of their characters."""
        inside = [place for place, other in zip(self._in_joined, self._places) if start <= other < end]
        return (inside[0], inside[-1] + 1) if inside else None


def _spelled(text: str, fold: Callable[[str], str]) -> tuple[str, list[int]]:
    pieces = [(piece, i) for i, character in enumerate(text) for piece in fold(character)]
    return "".join(piece for piece, _ in pieces), [i for _, i in pieces]


def _without_blanks(character: str) -> str:
    return "" if character.isspace() else unicodedata.normalize("NFD", character)


def _letters(character: str) -> str:
    folded = unicodedata.normalize("NFKD", character.lower())
    return "".join(letter for letter in folded if letter.isalnum())

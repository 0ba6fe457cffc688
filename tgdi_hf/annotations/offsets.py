"""Offsets as each annotation tool counts them, converted to characters (code points)."""

from collections.abc import Iterator
from itertools import accumulate

import regex  # transformers requires it

from ..processing.mention_search import inside_word
from ..processing.named_spans import agrees
from .document import Unusable
from .formats import Unit

Span = tuple[int, int]
_CLUSTER = regex.compile(r"\X")


class Offsets:
    r"""
    Locates spans in a text.

    Args:
        text: The text.
        unit: The unit in which the tool counts.
        is_certain: Whether the user has chosen the unit, so that no other one is tried.
    """

    def __init__(self, text: str, unit: Unit, is_certain: bool = False):
        self.text, self.unit, self.is_certain = text, unit, is_certain
        self._tables: dict[Unit, dict[int, int]] = {}

    def locate(self, start: int, end: int, mention: str | None = None) -> Span:
        r"""
        Converts a span to characters.

        Args:
            start, end: `[start, end)` in the unit of the tool.
            mention: The text of the span, if the tool exports it. It decides which unit the tool has counted.

        Returns:
            `[start, end)` in characters.

        Raises:
            Unusable: The span is empty, outside the text or cuts a character; its text differs from the mention; or
                it cuts a word and would not do so in another unit.
        """
        if not 0 <= start < end:
            raise Unusable(f"the span is [{start}, {end}); expected 0 ≤ start < end.")
        readings = dict(self._readings(start, end))
        if mention is not None:
            for span in readings.values():
                if agrees(self.text[slice(*span)], mention):
                    return span
            found = f"{self.text[slice(*readings[self.unit])]!r:.80}" if self.unit in readings else "outside the text"
            raise Unusable(
                f"the span [{start}, {end}) is {mention!r:.80} in the export, but in the text it is {found}, whatever "
                "unit its offsets count. The text may have been changed after it was annotated."
            )
        if self.unit not in readings:
            hint = "".join(f" It fits if offsets count {unit}: --offsets {unit}." for unit in list(readings)[:1])
            raise Unusable(
                f"the span [{start}, {end}) lies outside the text, which has {self._length()} {self.unit}, or cuts a "
                f"character.{hint}"
            )
        span = readings.pop(self.unit)
        if not self._is_whole(span):
            for unit, other in readings.items():
                if other != span and self._is_whole(other):
                    raise Unusable(
                        f"the span [{start}, {end}) is {self.text[slice(*span)]!r:.80} in {self.unit}, which cuts a "
                        f"word, and {self.text[slice(*other)]!r:.80} in {unit}. If the offsets count {unit}, pass "
                        f"--offsets {unit}."
                    )
        return span

    def _readings(self, start: int, end: int) -> Iterator[tuple[Unit, Span]]:
        """The units in which the span lies inside the text, the unit of the tool first."""
        others = () if self.is_certain or self.text.isascii() else (unit for unit in Unit if unit != self.unit)
        for unit in (self.unit, *others):
            table = self._table(unit)
            if start in table and end in table:
                yield unit, (table[start], table[end])

    def _table(self, unit: Unit) -> dict[int, int]:
        """Characters by offset in the unit, for all offsets that cut no character."""
        if unit not in self._tables:
            if unit == Unit.graphemes:
                ends = [match.end() for match in _CLUSTER.finditer(self.text)]
                self._tables[unit] = dict(enumerate((0, *ends)))
            else:
                widths = (_width(character, unit) for character in self.text)
                self._tables[unit] = {offset: i for i, offset in enumerate(accumulate(widths, initial=0))}
        return self._tables[unit]

    def _length(self) -> int:
        return max(self._table(self.unit))

    def _is_whole(self, span: Span) -> bool:
        """Whether a span has neither a part of a word nor white space at its ends."""
        found = self.text[slice(*span)]
        return found == found.strip() and not any(inside_word(self.text, place) for place in span)


def _width(character: str, unit: Unit) -> int:
    if unit == Unit.utf_16:
        return 2 if character > "\uffff" else 1
    return len(character.encode()) if unit == Unit.bytes else 1

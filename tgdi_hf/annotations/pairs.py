"""From a document to rows: one per related pair of entities, and rows without a relation for unrelated pairs."""

import random
from collections.abc import Callable, Iterable, Iterator
from itertools import combinations
from typing import Any, NamedTuple

from ..processing.head_and_tail import MAX_ENTITIES
from .document import Document, Entity, Report, directed_relations


class Negatives(NamedTuple):
    r"""
    Which unrelated pairs become rows.

    Args:
        per_post: Their largest number per post, each in both orders; `None` for all pairs.
    """

    per_post: int | None = None

    @classmethod
    def parse(cls, text: str) -> "Negatives":
        """Reads `"all"`, `"none"` or `"sample:N"`. Raises `ValueError` for another text."""
        name, _, number = text.partition(":")
        if text in ("all", "none"):
            return cls(None if text == "all" else 0)
        if name == "sample" and number.isascii() and number.isdecimal() and int(number) > 0:
            return cls(int(number))
        raise ValueError(f"`negatives` is {text!r}; expected all, none or sample:N, such as sample:3.")


class RowMaker:
    r"""
    Args:
        is_symmetric: Whether a relation holds in both directions.
        negatives: Which unrelated pairs become rows.
        negative: The label of their rows.
        multi_label: Whether a row may have several relations; its `label` is then a list, empty for unrelated pairs.
        seed: Chooses the sample of unrelated pairs, independently in each document.
        report: Gets pairs that cannot be used.
    """

    def __init__(
        self,
        is_symmetric: Callable[[str], bool],
        negatives: Negatives,
        negative: str,
        multi_label: bool,
        seed: int,
        report: Report,
    ):
        self.is_symmetric, self.negatives, self.negative = is_symmetric, negatives, negative
        self.multi_label, self.seed, self.report = multi_label, seed, report

    def rows(self, document: Document) -> list[dict[str, Any]]:
        r"""
        Makes the rows of a document.

        A related pair is listed in the direction of its relation; with a symmetric relation, and without any, in both
        orders, so that the order of a pair is no evidence of `None`.
        """
        labels: dict[tuple[Entity, Entity], list[str]] = {}
        unrelated: set[frozenset[Entity]] = set()  # explicitly
        for head, tail, kind in directed_relations(document, self.is_symmetric):
            if kind == self.negative:
                unrelated.add(frozenset((head, tail)))
                continue
            labels.setdefault((head, tail), []).append(kind)
            if self.is_symmetric(kind):
                labels.setdefault((tail, head), []).append(kind)
        rows = []
        for (head, tail), kinds in labels.items():
            if frozenset((head, tail)) in unrelated:
                self._problem(document, head, tail, f"is labelled {self.negative!r} and {kinds[0]!r}; left out")
            elif self.multi_label:
                rows.append(self._row(document, head, tail, kinds))
            elif len(kinds) == 1:
                rows.append(self._row(document, head, tail, kinds[0]))
            else:
                self._problem(
                    document, head, tail,
                    f"has {len(kinds)} relations, {', '.join(kinds)}; left out. To keep all of them, pass "
                    "`multi_label=True` (--multi-label)",
                )  # fmt: skip
        related = {frozenset(pair) for pair in labels}
        for pair in self._unrelated(document, related, unrelated - related):
            for head, tail in (pair, pair[::-1]):
                rows.append(self._row(document, head, tail, [] if self.multi_label else self.negative))
        return rows

    def _unrelated(
        self, document: Document, related: set[frozenset[Entity]], explicit: set[frozenset[Entity]]
    ) -> Iterator[tuple[Entity, Entity]]:
        """The unrelated pairs that become rows: those that an annotator has labelled so, and others as chosen."""
        yield from sorted((_in_text_order(pair) for pair in explicit), key=_spans)
        if self.negatives.per_post == 0:
            return
        if len(document.entities) > MAX_ENTITIES:
            self.report.add(
                document.file, document.where, document.id, "pair",
                f"the document has {len(document.entities)} entities, more than {MAX_ENTITIES}; its unrelated pairs "
                "were left out.",
            )  # fmt: skip
            return
        others = [
            pair
            for pair in combinations(document.entities, 2)
            if frozenset(pair) not in related | explicit
            and frozenset(entity.id for entity in pair) not in document.undecided
        ]
        if self.negatives.per_post is not None and len(others) > self.negatives.per_post:
            # A generator for each document: the sample does not depend on the other documents.
            others = random.Random(f"{self.seed}/{document.id}").sample(others, self.negatives.per_post)
        yield from sorted(others, key=_spans)

    def _row(self, document: Document, head: Entity, tail: Entity, label: str | list[str]) -> dict[str, Any]:
        places = "-".join(map(str, (*head.span, *tail.span)))
        return {
            "id": f"{document.id}#{places}",
            "post_id": document.id,
            "text": document.text,
            "head": list(head.span),
            "tail": list(tail.span),
            "head_type": head.type,
            "tail_type": tail.type,
            "label": label,
        }

    def _problem(self, document: Document, head: Entity, tail: Entity, reason: str) -> None:
        mentions = " to ".join(f"{document.text[slice(*entity.span)]!r:.80}" for entity in (head, tail))
        self.report.add(document.file, document.where, document.id, "pair", f"{mentions} {reason}.")


def _spans(pair: tuple[Entity, Entity]) -> tuple[tuple[int, int], ...]:
    return tuple(entity.span for entity in pair)


def _in_text_order(pair: Iterable[Entity]) -> tuple[Entity, Entity]:
    first, second = sorted(pair, key=lambda entity: entity.span)
    return first, second

"""Builds a document from the annotations of a tool, and reports those that cannot be used."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from ..processing.grapheme_clusters import trim
from ..processing.invalid_post import InvalidPost
from ..processing.post_text import PostText
from .document import Document, Entity, Relation, Report, Unusable
from .formats import Unit
from .offsets import Offsets


class Source(NamedTuple):
    r"""
    Where a document comes from.

    Args:
        file: The file.
        where: The place in the file, for messages.
        id: The id of the document.
        annotator: Name or id; `None` if the tool has none.
        aliases: Other names of the annotator.
        created: When the annotation was made, as a sortable text.
    """

    file: str | Path
    where: str
    id: str
    annotator: str | None = None
    aliases: tuple[str, ...] = ()
    created: str = ""


class DocumentBuilder:
    r"""
    Args:
        source: Where the document comes from.
        text: A valid text, see `fields.as_text`.
        report: Gets the annotations that cannot be used.
        unit: The unit in which the tool counts offsets.
        is_certain: Whether the user has chosen the unit, see `Offsets`.
        image: The tool's reference to the image.
    """

    def __init__(
        self,
        source: Source,
        text: str,
        report: Report,
        unit: Unit,
        is_certain: bool = False,
        image: str | None = None,
    ):
        self.source, self.text, self.report, self.image = source, text, report, image
        self.offsets = Offsets(text, unit, is_certain)
        self._post = PostText({"text": text}, source.where)
        self._entities: dict[str, Entity] = {}
        self._spans: dict[tuple[int, int], str] = {}
        self._ids: dict[str, str] = {}  # of the export, to that of the entity at the same span
        self._relations: dict[tuple[str, str, str], Relation] = {}
        self._undecided: set[frozenset[str]] = set()

    def problem(self, part: str, reason: str) -> None:
        """Reports what cannot be used."""
        self.report.add(self.source.file, self.source.where, self.source.id, part, reason)

    @contextmanager
    def attempt(self, part: str, name: str) -> Iterator[None]:
        """Reports an `Unusable` raised inside, with the name of what was added, and goes on after the block."""
        try:
            yield
        except Unusable as error:
            self.problem(part, f"{name}: {error}")

    def entity(self, id: str, start: int, end: int, type: str | None = None, mention: str | None = None) -> None:
        r"""
        Adds an entity. White space around it is trimmed. An entity at the span of an earlier one is the same entity.

        Args:
            id: Its id in the export.
            start, end: `[start, end)` in the unit of the tool.
            type: Its type.
            mention: Its text, if the tool exports it.

        Raises:
            Unusable: The id is taken, or see `Offsets.locate`.
        """
        if id in self._ids:
            raise Unusable("another entity has the same id.")
        start, end = trim(self.text, *self.offsets.locate(start, end, mention))
        if start == end:
            raise Unusable("the span has no visible character.")
        try:
            # What training would refuse is refused here, where the place in the export is known.
            start, end = self._post.entity((start, end), id).span
        except InvalidPost as error:
            raise Unusable(str(error)) from None
        known = self._spans.setdefault((start, end), id)
        self._ids[id] = known
        if known == id:
            self._entities[id] = Entity(id, type, start, end)
        elif type not in (None, self._entities[known].type):
            self.problem(
                "entity",
                f"entity {id}: {self.text[start:end]!r:.80} is also {self._entities[known].type!r} (entity {known}); "
                f"the type {type!r} was left out.",
            )

    def has_entity(self, id: str) -> bool:
        """Whether an entity of the export could be used."""
        return id in self._ids

    def entity_at(self, start: int, end: int) -> str | None:
        """The id of the entity at a span in characters."""
        return self._spans.get(trim(self.text, start, end))

    def relation(self, head: str, tail: str, type: str, both_ways: bool = False) -> None:
        r"""
        Adds a relation.

        Raises:
            Unusable: An entity is unknown or could not be used, or head and tail are the same entity.
        """
        first, second = self._pair(head, tail)
        known = self._relations.get((first, second, type))
        if known is None or both_ways > known.both_ways:
            self._relations[first, second, type] = Relation(first, second, type, both_ways)

    def undecided(self, head: str, tail: str) -> None:
        """Marks a pair of which it is unknown whether it is related; entities that could not be used are ignored."""
        if head in self._ids and tail in self._ids:
            self._undecided.add(frozenset((self._ids[head], self._ids[tail])))

    def _pair(self, head: str, tail: str) -> tuple[str, str]:
        for name, id in (("head", head), ("tail", tail)):
            if id not in self._ids:
                raise Unusable(f"its {name} is {id!r}, which is not a usable entity of the document.")
        if self._ids[head] == self._ids[tail]:
            raise Unusable(f"head and tail are the same span, {self._text_of(self._ids[head])!r:.80}.")
        return self._ids[head], self._ids[tail]

    def _text_of(self, id: str) -> str:
        return self.text[slice(*self._entities[id].span)]

    def build(self) -> Document:
        """The document, with its entities in text order."""
        source = self.source
        return Document(
            file=str(source.file),
            where=source.where,
            id=source.id,
            text=self.text,
            entities=tuple(sorted(self._entities.values(), key=lambda entity: entity.span)),
            relations=tuple(self._relations.values()),
            image=self.image,
            annotator=source.annotator,
            aliases=source.aliases,
            created=source.created,
            undecided=frozenset(self._undecided),
        )

"""Annotated documents, in one form for all annotation tools, and the report of what could not be used."""

import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path


class Unusable(ValueError):
    """A part of an export cannot be used; the message says what was expected and what was found."""


@dataclass(frozen=True)
class Entity:
    r"""
    Args:
        id: Identifies the entity in its document.
        type: The entity type; `None` if the tool has none.
        start, end: `[start, end)` in characters (code points) of the text.
    """

    id: str
    type: str | None
    start: int
    end: int

    @property
    def span(self) -> tuple[int, int]:
        """`[start, end)` in characters."""
        return self.start, self.end


@dataclass(frozen=True)
class Relation:
    r"""
    Args:
        head, tail: Ids of entities.
        type: The relation.
        both_ways: Whether the annotator drew the relation in both directions.
    """

    head: str
    tail: str
    type: str
    both_ways: bool = False


@dataclass(frozen=True)
class Document:
    r"""
    One text with the annotations of one annotator.

    Args:
        file, where: The file it comes from, and its place in the file, for messages.
        id: Identifies the post; annotations of one post by several annotators share it.
        text: The text.
        entities: Entities at different spans.
        relations: Relations between these entities.
        image: The tool's reference to the image: a path, a URL or a data URI; `None` if there is none.
        annotator: Name or id; `None` if the tool has none.
        aliases: Other names of the annotator.
        created: When the annotation was made, as a sortable text.
        undecided: Pairs of entity ids, in any order, of which it is unknown whether they are related, because an
            annotation between them could not be used. They are no examples of unrelated pairs.
    """

    file: str
    where: str
    id: str
    text: str
    entities: tuple[Entity, ...]
    relations: tuple[Relation, ...]
    image: str | None = None
    annotator: str | None = None
    aliases: tuple[str, ...] = ()
    created: str = ""
    undecided: frozenset[frozenset[str]] = frozenset()


@dataclass(frozen=True)
class Problem:
    r"""
    What could not be used, and why.

    Args:
        file, where: The file, and the place in it.
        id: The id of the document; `None` if it has none.
        part: `"document"`, `"annotation"`, `"entity"`, `"relation"`, `"image"`, `"pair"` or `"disagreement"`.
        reason: What was expected and what was found.
    """

    file: str
    where: str
    id: str | None
    part: str
    reason: str


@dataclass
class Report:
    """Collects problems in the order in which they are found."""

    problems: list[Problem] = field(default_factory=list)

    def add(self, file: str | Path, where: str, id: str | None, part: str, reason: str) -> None:
        """Adds a problem."""
        self.problems.append(Problem(str(file), where, id, part, reason))

    @contextmanager
    def collecting(self, file: str | Path, where: str, id: str | None, part: str) -> Iterator[None]:
        """Adds an `Unusable` raised inside as a problem, and goes on after the block."""
        try:
            yield
        except Unusable as error:
            self.add(file, where, id, part, str(error))

    def counts(self) -> dict[str, int]:
        """The number of problems for each part, most frequent first."""
        return dict(Counter(problem.part for problem in self.problems).most_common())

    def write(self, file: Path) -> None:
        """Writes one problem per line as JSON."""
        with file.open("w", encoding="utf-8", errors="backslashreplace") as report:
            for problem in self.problems:
                report.write(json.dumps(asdict(problem), ensure_ascii=False) + "\n")


def directed_relations(
    document: Document, is_symmetric: Callable[[str], bool]
) -> dict[tuple[Entity, Entity, str], None]:
    """Head, tail and type of the relations of a document, in order and without repetitions. A relation that was drawn
    both ways is two, and a symmetric one is listed in text order, once."""
    entities = {entity.id: entity for entity in document.entities}
    found: dict[tuple[Entity, Entity, str], None] = {}
    for relation in document.relations:
        head, tail = entities[relation.head], entities[relation.tail]
        if is_symmetric(relation.type):
            head, tail = sorted((head, tail), key=lambda entity: entity.span)
            found[head, tail, relation.type] = None
            continue
        found[head, tail, relation.type] = None
        if relation.both_ways:
            found[tail, head, relation.type] = None
    return found

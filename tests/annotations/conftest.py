"""Runs readers on small exports."""

import json
from typing import NamedTuple

import pytest

from tgdi_hf.annotations.document import Document, Entity, Relation, Report
from tgdi_hf.annotations.formats import Format, reader_of
from tgdi_hf.annotations.reader_options import ReaderOptions


class Outcome(NamedTuple):
    """What a reader returned: documents, reasons of the report with their part in front, and the error."""

    documents: list[Document]
    report: list[str]
    error: str

    @property
    def messages(self):
        return "\n".join([*self.report, self.error])

    def relations(self):
        """Head, type and tail of all relations, as texts."""
        return [
            (document.text[slice(*spans[relation.head])], relation.type, document.text[slice(*spans[relation.tail])])
            for document in self.documents
            for spans in [{entity.id: entity.span for entity in document.entities}]
            for relation in document.relations
        ]


def outcome(format, path, **options):
    """Any exception but `ValueError` fails the test; these are messages on the command line."""
    report, documents, error = Report(), [], ""
    try:
        for document in reader_of(Format(format))(path, ReaderOptions(**options), report):
            documents.append(document)
    except ValueError as raised:
        error = str(raised)
    return Outcome(documents, [f"{problem.part}: {problem.reason}" for problem in report.problems], error)


@pytest.fixture
def write(tmp_path):
    """Writes bytes, a text, or JSON to a file."""

    def write_content(content, name="export.json"):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if not isinstance(content, bytes):
            content = content if isinstance(content, str) else json.dumps(content)
            content = content.encode("utf-8", "surrogatepass")
        file.write_bytes(content)
        return file

    return write_content


def document(text="Ann meets Bob in Rome", spans=((0, 3), (10, 13), (17, 21)), relations=(), **fields):
    """A document whose entities are called 0, 1, …; a relation is (head, tail, type) or (head, tail, type, True)."""
    types = fields.pop("types", [None] * len(spans))
    entities = tuple(Entity(str(i), types[i], *span) for i, span in enumerate(spans))
    links = tuple(Relation(str(head), str(tail), *rest) for head, tail, *rest in relations)
    return Document(**{"file": "f", "where": "w", "id": "7", **fields}, text=text, entities=entities, relations=links)

"""
Reads exports of doccano in the format "JSONL (relation)".

Shape: https://github.com/doccano/doccano/pull/1703 (`entities` with `start_offset` and `end_offset`, `relations` with
`from_id`, `to_id` and `type`). Where annotators work on their own, the export has one file per annotator.

Offsets: UTF-16 units, in spite of the name "code point" in its source: they come from offsets of JavaScript strings
(https://github.com/doccano/v-annotator, `src/domain/models/Label/Text.ts`). Projects that "count grapheme clusters as
one character" count those (https://github.com/doccano/doccano/pull/1511). Entities that were imported keep the unit
of whoever imported them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .builder import DocumentBuilder, Source
from .document import Document, Report, Unusable
from .fields import as_id, as_integer, as_label, as_list, as_mapping, as_optional_label
from .formats import Unit
from .json_documents import JsonDocument, json_documents
from .reader_options import ReaderOptions, find_image, find_text


def read_doccano(path: Path, options: ReaderOptions, report: Report) -> Iterator[Document]:
    r"""
    Reads the documents of an export.

    Args:
        path: A JSON Lines file; or a folder with one per annotator, whose name is that of the file.
        options: See `ReaderOptions`.
        report: Gets what cannot be used.
    """
    for found in json_documents(path, report):
        id = None
        if isinstance(found.value, Mapping) and isinstance(found.value.get("id"), str | int):
            id = str(found.value["id"])
        with report.collecting(found.file, found.where, id, "document"):
            annotator = found.file.name.partition(".")[0] if path.is_dir() else None
            yield _document(found, annotator, options, report)


def _document(found: JsonDocument, annotator: str | None, options: ReaderOptions, report: Report) -> Document:
    value = as_mapping(found.value, "the document")
    if missing := [key for key in ("entities", "relations") if value.get(key) is None]:
        raise Unusable(
            f"the document has no `{missing[0]}`, only {', '.join(map(str, value)) or 'nothing'}. Export as JSONL "
            "(relation), from a project with relation labelling; other exports have no relations."
        )
    id = as_id(value.get("id", found.where), "`id`")
    text, image = find_text(value, options), None
    with report.collecting(found.file, found.where, id, "image"):
        image = find_image(value, options)
    builder = DocumentBuilder(
        Source(found.file, found.where, id, annotator),
        text,
        report,
        options.offsets or Unit.utf_16,
        options.offsets is not None,
        image,
    )
    for number, entity in enumerate(as_list(value["entities"], "`entities`")):
        with builder.attempt("entity", f"entity {number}"):
            _read_entity(builder, as_mapping(entity, "the entity"))
    for number, relation in enumerate(as_list(value["relations"], "`relations`")):
        with builder.attempt("relation", f"relation {number}"):
            _read_relation(builder, as_mapping(relation, "the relation"))
    if value.get("cats") or value.get("label"):
        builder.problem("annotation", "labels of the whole text are not used.")
    return builder.build()


def _read_entity(builder: DocumentBuilder, entity: Mapping[str, Any]) -> None:
    id = as_id(entity.get("id"), "`id`")
    start, end = (as_integer(entity.get(key), f"`{key}`") for key in ("start_offset", "end_offset"))
    builder.entity(id, start, end, as_optional_label(entity.get("label"), "`label`"))


def _read_relation(builder: DocumentBuilder, relation: Mapping[str, Any]) -> None:
    head, tail = (as_id(relation.get(key), f"`{key}`") for key in ("from_id", "to_id"))
    try:
        kind = as_label(relation.get("type"), "`type`")
    except Unusable:
        builder.undecided(head, tail)
        raise
    builder.relation(head, tail, kind)

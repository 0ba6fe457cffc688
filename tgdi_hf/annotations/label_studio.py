"""
Reads exports of Label Studio in the format "JSON".

Shape: https://labelstud.io/guide/task_format (tasks) and `docs/source/includes/result_format.md` of
https://github.com/HumanSignal/label-studio (relations: `from_id`, `to_id`, `direction`, `labels`). A relation without
direction points right (`web/libs/editor/src/stores/RelationStore.js`).

Offsets: code points since https://github.com/HumanSignal/label-studio-frontend/pull/308, UTF-16 units before
(https://github.com/HumanSignal/label-studio/issues/1347). The text of a region is exported with it and tells which.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from .builder import DocumentBuilder, Source
from .document import Document, Report, Unusable
from .fields import as_id, as_integer, as_label, as_list, as_mapping, as_optional_label
from .formats import Unit
from .json_documents import JsonDocument, json_documents
from .reader_options import ReaderOptions, find_image, find_text

DIRECTIONS = ("left", "right", "bi")


def read_label_studio(path: Path, options: ReaderOptions, report: Report) -> Iterator[Document]:
    r"""
    Reads the tasks of an export, one document per task and annotator.

    Args:
        path: The export, or a folder of files with one task each, as in a cloud storage.
        options: `predictions` reads the predictions of tasks without annotations.
        report: Gets what cannot be used.
    """
    for found in json_documents(path, report):
        task_id = None
        if isinstance(found.value, Mapping) and isinstance(found.value.get("id"), str | int):
            task_id = str(found.value["id"])
        with report.collecting(found.file, found.where, task_id, "document"):
            yield from _documents(found, options, report)


class _Annotation(NamedTuple):
    value: Mapping[str, Any]
    is_prediction: bool


def _documents(found: JsonDocument, options: ReaderOptions, report: Report) -> Iterator[Document]:
    task = as_mapping(found.value, "the task")
    if "data" not in task:
        raise Unusable("the task has no `data`. Export as JSON: JSON-MIN, CSV, TSV and CONLL2003 have no relations.")
    data = as_mapping(task["data"], "`data`")
    # `post_id` is what `tgdi label` wrote: Label Studio gives tasks ids of its own.
    id = as_id(data.get("post_id", task.get("id", found.where)), "`id`")
    text, image = find_text(data, options), None
    with report.collecting(found.file, found.where, id, "image"):
        image = find_image(data, options)
    annotations = [
        _Annotation(as_mapping(value, "an annotation"), False)
        for value in as_list(task.get("annotations", task.get("completions")), "`annotations`")
    ]
    if options.predictions and not annotations:
        annotations = [
            _Annotation(as_mapping(value, "a prediction"), True)
            for value in as_list(task.get("predictions"), "`predictions`")
        ]
    if not annotations:
        has_predictions = bool(task.get("predictions")) and not options.predictions
        hint = " It has predictions: pass `predictions=True` (--predictions) to import them." if has_predictions else ""
        raise Unusable(f"the task has no annotations.{hint}")
    for number, annotation in enumerate(annotations):
        where = f"{found.where}, {'prediction' if annotation.is_prediction else 'annotation'} {number}"
        with report.collecting(found.file, where, id, "annotation"):
            if annotation.value.get("was_cancelled"):
                raise Unusable("the annotator skipped the task.")
            if annotation.value.get("result") is None:
                raise Unusable("the annotation has no `result`.")
            source = _source(annotation, found.file, where, id)
            builder = DocumentBuilder(
                source, text, report, options.offsets or Unit.code_points, options.offsets is not None, image
            )
            _read_results(builder, as_list(annotation.value.get("result"), "`result`"))
            yield builder.build()


def _source(annotation: _Annotation, file: Path, where: str, id: str) -> Source:
    value = annotation.value
    by = value.get("model_version" if annotation.is_prediction else "completed_by")
    names = [by]
    if isinstance(by, Mapping):
        names = [by.get(key) for key in ("email", "id", "username")]
    known = tuple(str(name) for name in names if isinstance(name, str | int) and name != "")
    created = value.get("created_at")
    return Source(file, where, id, known[0] if known else None, known[1:], created if isinstance(created, str) else "")


def _read_results(builder: DocumentBuilder, results: list[Any]) -> None:
    """Reads the entities, then the relations, which may come before them."""
    relations, others = [], Counter[str]()
    for number, result in enumerate(results):
        name = f"result {number}"
        with builder.attempt("annotation", name):
            result = as_mapping(result, "the result")
            kind = result.get("type")
            if kind == "relation":
                relations.append((name, result))
            elif kind == "labels":
                _read_region(builder, name, result)
            else:
                others[str(kind)[:40]] += 1
    for kind, count in others.items():
        builder.problem(
            "annotation", f"{count} of {len(results)} results have the type {kind!r}; only `labels` of a Text tag and "
            "`relation` are read."
        )  # fmt: skip
    for name, result in relations:
        with builder.attempt("relation", name):
            _read_relation(builder, result)


def _read_region(builder: DocumentBuilder, name: str, result: Mapping[str, Any]) -> None:
    with builder.attempt("entity", name):
        id = as_id(result.get("id"), "`id`")
        value = as_mapping(result.get("value"), "`value`")
        if "startOffset" in value or "globalOffsets" in value:
            raise Unusable("it is a region of a HyperText or Paragraphs tag; expected one of a Text tag.")
        start, end = (as_integer(value.get(key), f"`{key}`") for key in ("start", "end"))
        labels = [as_label(label, "a label") for label in as_list(value.get("labels"), "`labels`")]
        mention = value.get("text")
        # Some versions write line breaks as "\n" in two characters.
        mention = mention.replace("\\n", "\n") if isinstance(mention, str) and mention else None
        if builder.has_entity(id):  # one result per Labels tag
            builder.problem("entity", f"{name}: region {id} has further labels, {', '.join(labels)}; left out.")
            return
        builder.entity(id, start, end, labels[0] if labels else None, mention)
        if labels[1:]:
            builder.problem("entity", f"{name}: region {id} has {len(labels)} labels; {labels[0]!r} was used.")


def _read_relation(builder: DocumentBuilder, result: Mapping[str, Any]) -> None:
    head, tail = (as_id(result.get(key), f"`{key}`") for key in ("from_id", "to_id"))
    try:
        direction = as_optional_label(result.get("direction"), "`direction`") or "right"
        if direction not in DIRECTIONS:
            raise Unusable(f"`direction` is {direction!r:.80}; expected {', '.join(DIRECTIONS)}.")
        labels = [as_label(label, "a label") for label in as_list(result.get("labels"), "`labels`")]
        if not labels:
            raise Unusable(
                "the relation has no label. Declare the labels in a Relations tag, and choose one for each relation."
            )
    except Unusable:
        builder.undecided(head, tail)
        raise
    if direction == "left":
        head, tail = tail, head
    for label in labels:
        builder.relation(head, tail, label, direction == "bi")

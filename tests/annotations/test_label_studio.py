import json

import pytest

from .conftest import outcome
from .label_studio_tasks import ANN, BOB, ROME, TEXT, annotation, region, relation, task


def test_a_task(write):
    by = {"id": 1, "email": "a@x.org"}
    export = [task(annotation(relation("a", "b", "knows"), ANN, BOB, ROME, completed_by=by, created_at="2024-05-01"))]
    found = outcome("label-studio", write(export))
    (document,) = found.documents
    assert not found.messages
    assert [(entity.id, entity.type, entity.span) for entity in document.entities] == [
        ("a", "PER", (2, 5)), ("b", "PER", (12, 15)), ("r", "LOC", (19, 23)),
    ]  # fmt: skip
    assert found.relations() == [("Ann", "knows", "Bob")]
    assert (document.id, document.image, document.annotator, document.aliases, document.created) == (
        "3", "a.png", "a@x.org", ("1",), "2024-05-01",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"direction": "right"}, [("Ann", "knows", "Bob")]),
        ({"direction": "left"}, [("Bob", "knows", "Ann")]),
        ({"direction": None}, [("Ann", "knows", "Bob")]),
        ({"labels": ["knows", "likes"]}, [("Ann", "knows", "Bob"), ("Ann", "likes", "Bob")]),
    ],
)
def test_directions_and_labels(write, fields, expected):
    found = outcome("label-studio", write([task(annotation(ANN, BOB, relation("a", "b", "knows", **fields)))]))
    assert found.relations() == expected and not found.messages


def test_both_directions(write):
    found = outcome("label-studio", write([task(annotation(ANN, BOB, relation("a", "b", "knows", direction="bi")))]))
    assert found.documents[0].relations[0].both_ways


def test_offsets_of_old_versions_count_utf_16_units(write):
    old = [{**one, "value": {**one["value"], "start": one["value"]["start"] + 1, "end": one["value"]["end"] + 1}}
           for one in (ANN, BOB)]  # fmt: skip
    found = outcome("label-studio", write([task(annotation(*old))]))
    assert [entity.span for entity in found.documents[0].entities] == [(2, 5), (12, 15)] and not found.messages
    for one in old:
        del one["value"]["text"]
    found = outcome("label-studio", write([task(annotation(*old))]), offsets="utf-16")
    assert [entity.span for entity in found.documents[0].entities] == [(2, 5), (12, 15)] and not found.messages


def test_line_breaks_in_the_text_of_a_region(write):
    text = "Ann\nLee met Bob"
    lee = region("a", 0, 7, "PER", text="Ann\\nLee")
    found = outcome("label-studio", write([task(annotation(lee), data={"text": text})]))
    assert found.documents[0].entities[0].span == (0, 7) and not found.messages


def test_one_document_per_annotator(write):
    export = [task(annotation(ANN, BOB), annotation(ANN, completed_by=2))]
    assert [document.annotator for document in outcome("label-studio", write(export)).documents] == ["1", "2"]


def test_predictions_are_read_on_request(write):
    predictions = [{"model_version": "v1", "score": 0.5, "result": [ANN, BOB, relation("a", "b", "knows")]}]
    file = write([task(predictions=predictions)])
    assert "It has predictions: pass `predictions=True` (--predictions)" in outcome("label-studio", file).messages
    found = outcome("label-studio", file, predictions=True)
    assert found.relations() == [("Ann", "knows", "Bob")] and found.documents[0].annotator == "v1"


def test_a_pair_with_an_unusable_relation_is_undecided(write):
    for fields in ({"labels": []}, {"labels": None}, {"direction": "up"}, {"labels": [3]}):
        found = outcome("label-studio", write([task(annotation(ANN, BOB, relation("a", "b", "knows", **fields)))]))
        assert found.documents[0].undecided == {frozenset("ab")}


def test_tasks_in_a_folder_and_old_exports(write):
    write(task(annotation(ANN)), "tasks/1.json")
    old = task(id=4, completions=[annotation(BOB)])
    del old["annotations"]
    folder = write(old, "tasks/2.json").parent
    assert [document.id for document in outcome("label-studio", folder).documents] == ["3", "4"]


MALFORMED = {
    "empty file": ("", "document: the file is empty; expected documents"),
    "not JSON": ("hello", "expected JSON"),
    "cut off": (json.dumps([task(annotation(ANN))])[:-20], "can't be read"),
    "XML": ("<xml></xml>", "expected JSON"),
    "UTF-16": (json.dumps([task(annotation(ANN))]).encode("utf-16"), "is in UTF-16; expected UTF-8"),
    "Latin-1": ('[{"id": 1, "data": {"text": "é"}, "annotations": [{}]}]'.encode("latin-1"), "surrogate"),
    "a list of numbers": ([1, 2], "the task is 1; expected an object"),
    "no data": ([{"id": 3, "annotations": []}], "the task has no `data`"),
    "JSON-MIN": ([{"id": 3, "text": TEXT, "label": [{"start": 2, "end": 5}]}], "JSON-MIN, CSV, TSV and CONLL2003"),
    "data is a list": ([task(annotation(ANN), data=[])], "`data` is []; expected an object"),
    "no text": ([task(annotation(ANN), data={"image": "a.png"})], "expected a key `text`, found image"),
    "text is a list": ([task(annotation(ANN), data={"text": ["a"]})], "`text` is ['a']; expected a text"),
    "blank text": ([task(annotation(ANN), data={"text": " "})], "`text` is ' '; expected a text"),
    "half an emoji": ([task(annotation(ANN), data={"text": "\ud83d Ann"})], "half of a surrogate pair"),
    "id is a list": ([task(annotation(ANN), id=[3])], "`id` is [3]; expected an id"),
    "not annotated": ([task()], "the task has no annotations"),
    "annotations is a number": ([task(annotations=3)], "`annotations` is 3; expected a list"),
    "annotation is a string": ([task("x")], "an annotation is 'x'; expected an object"),
    "skipped": ([task(annotation(ANN, was_cancelled=True))], "the annotator skipped the task"),
    "result is an object": ([task({"result": {"a": 1}})], "`result` is {'a': 1}; expected a list"),
    "no result": ([task({"completed_by": 1})], "the annotation has no `result`"),
    "result of a string": ([task(annotation("x"))], "result 0: the result is 'x'"),
    "region without id": ([task(annotation({**ANN, "id": None}))], "`id` is None; expected an id"),
    "region without value": ([task(annotation({**ANN, "value": None}))], "`value` is None; expected an object"),
    "no start": ([task(annotation(region("a", 2, 5, start=None)))], "`start` is None; expected a whole number"),
    "start is a fraction": ([task(annotation(region("a", 2, 5, start=2.5)))], "`start` is 2.5"),
    "end before start": ([task(annotation(region("a", 2, 5, end=1)))], "the span is [2, 1)"),
    "outside the text": ([task(annotation(region("a", 2, 5, start=90, end=93)))], "is outside the text"),
    "other text": ([task(annotation(region("a", 2, 5, text="Joe")))], "is 'Joe' in the export"),
    "white space": ([task(annotation(region("a", 5, 6, text="")))], "the span has no visible character"),
    "label is a number": ([task(annotation(region("a", 2, 5, 3)))], "a label is 3; expected a text"),
    "labels is a string": ([task(annotation(region("a", 2, 5, labels="PER")))], "`labels` is 'PER'"),
    "several labels": ([task(annotation(region("a", 2, 5, "PER", "ORG")))], "has 2 labels; 'PER' was used"),
    "the same id twice": ([task(annotation(ANN, {**BOB, "id": "a"}))], "region a has further labels, PER"),
    "the same span twice": ([task(annotation(ANN, {**region("x", 2, 5, "ORG")}))], "the type 'ORG' was left out"),
    "HyperText": (
        [task(annotation(region("a", 2, 5, "PER", startOffset=1, start="/div[1]/text()[1]")))], "a HyperText"
    ),
    "boxes and choices": (
        [task(annotation(ANN, {"type": "choices", "value": {}}, {"type": "choices"}, {"id": "x"}))],
        "2 of 4 results have the type 'choices'",
    ),
    "relation to nothing": ([task(annotation(ANN, relation("a", "z", "knows")))], "its tail is 'z'"),
    "relation to a box": (
        [task(annotation(ANN, {"id": "z", "type": "rectanglelabels"}, relation("z", "a", "knows")))], "its head is 'z'"
    ),
    "relation without from_id": ([task(annotation(ANN, relation(None, "a", "knows")))], "`from_id` is None"),
    "relation to itself": ([task(annotation(ANN, relation("a", "a", "knows")))], "head and tail are the same span"),
    "unlabelled relation": ([task(annotation(ANN, BOB, relation("a", "b")))], "the relation has no label"),
    "unknown direction": (
        [task(annotation(ANN, BOB, relation("a", "b", "knows", direction="up")))], "expected left, right, bi"
    ),
    "image is a list": ([task(annotation(ANN), data={"text": TEXT, "image": ["a"]})], "image: `image` is ['a']"),
    "nested deeply": ("[" * 100_000, "can't be read"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_exports(write, name):
    content, message = MALFORMED[name]
    found = outcome("label-studio", write(content))
    assert message in found.messages


def test_other_tasks_are_kept(write):
    found = outcome("label-studio", write([3, task(annotation(ANN)), task("x"), {**task(annotation(BOB)), "id": 5}]))
    assert [document.id for document in found.documents] == ["3", "5"] and len(found.report) == 2

import json

import pytest

from .conftest import outcome

TEXT = "😀 Ann meets Bob in Rome"  # 😀 is two UTF-16 units
ANN = {"id": 0, "start_offset": 3, "end_offset": 6, "label": "PER"}
BOB = {"id": 1, "start_offset": 13, "end_offset": 16, "label": "PER"}


def relation(head, tail, kind="knows", **fields):
    return {"id": 0, "from_id": head, "to_id": tail, "type": kind, **fields}


def doc(*entities, relations=(), **fields):
    return {"id": 4, "text": TEXT, "entities": list(entities), "relations": list(relations), "Comments": [], **fields}


def test_a_document(write):
    found = outcome("doccano", write([doc(BOB, ANN, relations=[relation(0, 1)], image="a.png")]))
    (document,) = found.documents
    assert [(one.id, one.type, one.span) for one in document.entities] == [("0", "PER", (2, 5)), ("1", "PER", (12, 15))]
    assert found.relations() == [("Ann", "knows", "Bob")] and not found.messages
    assert (document.id, document.image, document.annotator) == ("4", "a.png", None)


@pytest.mark.parametrize(("offsets", "span"), [("code-points", (2, 5)), ("bytes", (5, 8)), ("graphemes", (2, 5))])
def test_other_units_on_request(write, offsets, span):
    ann = {**ANN, "start_offset": span[0], "end_offset": span[1]}
    found = outcome("doccano", write([doc(ann)]), offsets=offsets)
    assert found.documents[0].entities[0].span == (2, 5) and not found.messages


def test_code_points_are_not_taken_for_utf_16_units(write):
    bob = {**BOB, "start_offset": 12, "end_offset": 15}
    found = outcome("doccano", write([doc(bob)]))
    assert not found.documents[0].entities
    assert "is ' Bo' in utf-16, which cuts a word, and 'Bob' in code-points" in found.messages


def test_a_folder_has_one_file_per_annotator(write):
    for name in ("ann", "bob"):
        folder = write(json.dumps(doc(ANN)) + "\n", f"export/{name}.jsonl").parent
    assert [document.annotator for document in outcome("doccano", folder).documents] == ["ann", "bob"]


MALFORMED = {
    "empty file": ("", "the file is empty"),
    "not JSON": ("hello", "expected JSON"),
    "a line cut off": (json.dumps(doc(ANN)) + '\n{"id": 5, "te', "expected JSON, found"),
    "UTF-16": (json.dumps(doc(ANN)).encode("utf-16"), "is in UTF-16"),
    "a string": (["x"], "the document is 'x'; expected an object"),
    "no entities": ([{"id": 4, "text": TEXT, "label": [[0, 1, "PER"]]}], "Export as JSONL (relation)"),
    "entities is a number": ([{**doc(), "entities": 3}], "`entities` is 3; expected a list"),
    "no relations": ([{**doc(ANN, BOB), "relations": None}], "the document has no `relations`"),
    "no text": ([{"id": 4, "entities": [], "relations": []}], "expected a key `text`"),
    "text is a number": ([doc(ANN, text=3)], "`text` is 3"),
    "blank text": ([doc(ANN, text="\n")], "expected a text"),
    "id is an object": ([doc(ANN, id={})], "`id` is {}; expected an id"),
    "entity is a list": ([doc([3, 6, "PER"])], "entity 0: the entity is [3, 6, 'PER']"),
    "entity without id": ([doc({**ANN, "id": None})], "`id` is None"),
    "two entities with one id": ([doc(ANN, {**BOB, "id": 0})], "another entity has the same id"),
    "no offset": ([doc({"id": 0, "label": "PER"})], "`start_offset` is None"),
    "negative offset": ([doc({**ANN, "start_offset": -3})], "the span is [-3, 6)"),
    "empty span": ([doc({**ANN, "end_offset": 3})], "the span is [3, 3)"),
    "outside the text": ([doc({**ANN, "end_offset": 99})], "lies outside the text, which has 24 utf-16"),
    "half an emoji": ([doc({**ANN, "start_offset": 1})], "or cuts a character"),
    "white space": ([doc({**ANN, "start_offset": 6, "end_offset": 7})], "no visible character"),
    "label is a list": ([doc({**ANN, "label": ["PER"]})], "`label` is ['PER']"),
    "relation is a list": ([doc(ANN, relations=[[0, 1]])], "the relation is [0, 1]"),
    "relations is an object": ([{**doc(ANN), "relations": {"a": 1}}], "`relations` is {'a': 1}; expected a list"),
    "relation to nothing": ([doc(ANN, relations=[relation(0, 9)])], "its tail is '9'"),
    "relation without head": ([doc(ANN, BOB, relations=[relation(None, 1)])], "`from_id` is None"),
    "relation to itself": ([doc(ANN, relations=[relation(0, 0)])], "head and tail are the same span"),
    "relation without type": ([doc(ANN, BOB, relations=[relation(0, 1, None)])], "`type` is None"),
    "blank type": ([doc(ANN, BOB, relations=[relation(0, 1, " ")])], "`type` is ' '"),
    "relation of an unusable entity": ([doc(ANN, {**BOB, "end_offset": 99}, relations=[relation(0, 1)])], "its tail"),
    "labels of the text": ([doc(ANN, cats=["news"])], "labels of the whole text are not used"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_exports(write, name):
    content, message = MALFORMED[name]
    assert message in outcome("doccano", write(content)).messages


def test_a_pair_with_an_unusable_relation_is_undecided(write):
    found = outcome("doccano", write([doc(ANN, BOB, relations=[relation(0, 1, None)])]))
    assert found.documents[0].undecided == {frozenset("01")}

import json

import pytest

from .conftest import outcome

TEXT = "😀 Ann Lee meets Bob in Rome"
WORDS = [(0, 1), (2, 5), (6, 9), (10, 15), (16, 19), (20, 22), (23, 27)]
TOKENS = [{"text": TEXT[a:b], "start": a, "end": b, "id": i, "ws": True} for i, (a, b) in enumerate(WORDS)]


def span(first, last, label="PER", **fields):
    """A span of tokens; the last one belongs to it."""
    start, end = WORDS[first][0], WORDS[last][1]
    return {"start": start, "end": end, "token_start": first, "token_end": last, "label": label, **fields}


ANN, BOB = span(1, 2), span(4, 4)


def relation(head, child, label="knows", **fields):
    return {"head": head["token_end"], "child": child["token_end"], "head_span": head, "child_span": child,
            "color": "#c5bdf4", "label": label, **fields}  # fmt: skip


def example(*spans, relations=(), **fields):
    return {"text": TEXT, "_input_hash": -12, "_task_hash": 3, "tokens": TOKENS, "spans": list(spans),
            "relations": list(relations), "answer": "accept", "_view_id": "relations", **fields}  # fmt: skip


def test_an_example(write):
    content = example(ANN, BOB, relations=[relation(ANN, BOB)], _annotator_id="ann", _session_id="s-ann", image="a.png",
                      _timestamp=1700000000)  # fmt: skip
    found = outcome("prodigy", write([content]))
    (document,) = found.documents
    assert [(one.type, one.span) for one in document.entities] == [("PER", (2, 9)), ("PER", (16, 19))]
    assert found.relations() == [("Ann Lee", "knows", "Bob")] and not found.messages
    assert (document.id, document.annotator, document.aliases, document.image) == ("-12", "ann", ("s-ann",), "a.png")
    assert document.created.endswith("1700000000")


def test_relations_by_token_only(write):
    links = [{"head": 1, "child": 4, "label": "knows"}, {"head": 2, "child": 6, "label": "lives"}]
    found = outcome("prodigy", write([example(ANN, BOB, relations=links)]))
    assert found.relations() == [("Ann Lee", "knows", "Bob"), ("Ann Lee", "lives", "Rome")] and not found.messages
    assert found.documents[0].entities[-1].type is None


def test_spans_by_token_only(write):
    ann = {"token_start": 1, "token_end": 2, "label": "PER"}
    found = outcome("prodigy", write([example(ann)]))
    assert found.documents[0].entities[0].span == (2, 9) and not found.messages


def test_relations_between_spans_that_are_not_listed(write):
    found = outcome("prodigy", write([example(relations=[relation(ANN, BOB)])]))
    assert found.relations() == [("Ann Lee", "knows", "Bob")]
    assert [one.type for one in found.documents[0].entities] == ["PER", "PER"]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"id": 5}, "5"),
        ({"meta": {"id": "m"}}, "m"),
        ({}, "-12"),
        ({"_input_hash": None}, "export.json, item 0 (line 1)"),
    ],
)
def test_the_id(write, fields, expected):
    assert outcome("prodigy", write([example(ANN, **fields)])).documents[0].id == expected


MALFORMED = {
    "empty file": ("", "the file is empty"),
    "not JSON": ("hello", "expected JSON"),
    "a line cut off": (json.dumps(example(ANN)) + '\n{"text": ', "expected JSON, found"),
    "a number": ([3], "the example is 3; expected an object"),
    "rejected": ([example(ANN, answer="reject")], "the answer is 'reject', so the example was not used."),
    "ignored": ([example(ANN, answer="ignore")], "the answer is 'ignore'"),
    "unknown answer": ([example(ANN, answer=["accept"])], "expected accept, reject, ignore"),
    "another interface": ([{"text": TEXT, "label": "news"}], "the example has no `relations`, only text, label"),
    "entities only": ([{**example(ANN, BOB), "relations": None}], "so its pairs were not annotated"),
    "no text": ([{"spans": [], "relations": []}], "expected a key `text`"),
    "html": ([{"html": "<p>Ann", "relations": [], "text": None}], "`text` is None"),
    "spans is an object": ([{**example(), "spans": {"a": 1}}], "`spans` is {'a': 1}; expected a list"),
    "tokens is a string": ([example(ANN, tokens="Ann")], "`tokens` is 'Ann'; expected a list"),
    "span is a list": ([example([2, 9])], "span 0: the span is [2, 9]"),
    "no offsets": ([example({"label": "PER"})], "`start` is None"),
    "end before start": ([example({**ANN, "end": 1})], "the span is [2, 1)"),
    "outside the text": ([example({**ANN, "end": 99})], "lies outside the text, which has 27 code-points"),
    "other text": ([example({**ANN, "text": "Joe"})], "is 'Joe' in the export"),
    "UTF-16 units": ([example({**BOB, "start": 17, "end": 20})], "which cuts a word, and 'Bob' in utf-16"),
    "label is a list": ([example({**ANN, "label": ["PER"]})], "`label` is ['PER']"),
    "token_start is a string": ([example({**ANN, "token_start": "x"})], "`token_start` is 'x'"),
    "span of tokens that are missing": (
        [example({"token_start": 1, "token_end": 2}, tokens=None)], "token 1 is not among the 0 `tokens`"
    ),
    "relations is an object": ([{**example(ANN), "relations": {"a": 1}}], "`relations` is {'a': 1}"),
    "relation is a list": ([example(ANN, relations=[[1, 4]])], "the relation is [1, 4]"),
    "no head": ([example(ANN, relations=[{"child": 1, "label": "knows"}])], "`head` is None"),
    "token outside": ([example(ANN, relations=[{"head": 1, "child": 99, "label": "x"}])], "token 99 is not among"),
    "negative token": ([example(ANN, relations=[{"head": -1, "child": 1, "label": "x"}])], "token -1 is not among"),
    "token without offsets": (
        [example(ANN, tokens=[{}] * 7, relations=[{"head": 1, "child": 4, "label": "x"}])], "`start` of token 4 is None"
    ),
    "head_span outside": (
        [example(ANN, BOB, relations=[relation({**ANN, "end": 99}, BOB)])], "lies outside the text"
    ),
    "relation without label": ([example(ANN, BOB, relations=[relation(ANN, BOB, None)])], "`label` is None"),
    "relation to itself": ([example(ANN, relations=[relation(ANN, ANN)])], "head and tail are the same span"),
    "image is an object": ([example(ANN, image={"a": 1})], "expected the path or URL of one image"),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_exports(write, name):
    content, message = MALFORMED[name]
    assert message in outcome("prodigy", write(content)).messages


def test_a_pair_with_an_unusable_relation_is_undecided(write):
    (document,) = outcome("prodigy", write([example(ANN, BOB, relations=[relation(ANN, BOB, "")])])).documents
    assert document.undecided == {frozenset(one.id for one in document.entities)}

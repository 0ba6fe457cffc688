import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator, ValidationError
from pydantic import TypeAdapter
from pydantic import ValidationError as InvalidModel

from tgdi_hf.hub.handler import FIELDS, PARAMETERS, BadRequest, EndpointHandler
from tgdi_hf.processing.entity_mapping import MENTION_KEYS, SPAN_KEYS, TYPE_KEYS
from tgdi_hf.serving.schema import Answer, EntityMapping, Parameters, Post, Request, definitions, json_schema

from ..hub.test_handler import BAD, BASE64, POST
from .conftest import HANDLER

FILE = Path(__file__).parents[2] / "docs" / "serving.schema.json"
GOOD = [
    {"inputs": POST},
    {"inputs": [POST, {**POST, "id": 7}], "parameters": {"top_k": 2, "pairs": 0.5, "truncation": False}},
    {"inputs": {**POST, "id": None, "image": BASE64, "objects": [[0, 0, 5, 5.5], BASE64], "caption": "a car"}},
    {"inputs": {**POST, "image": None, "objects": None, "caption": None}, "parameters": None},
    {"inputs": {"words": ["Ann", "meets", "Bob"], "head": [0, 1], "tail": {"name": "Bob", "type": "PER"}}},
    {"inputs": {**POST, "head": {"word": "Ann", "start": 0, "end": 3, "score": 0.9, "entity_group": "PER"}}},
    {"inputs": {"text": "Ann meets Bob", "entities": ["Ann", {"span": [10, 13]}]}, "parameters": {"pairs": "mnre"}},
    {"inputs": POST, "parameters": {"ambiguous": "all", "drop_none": True, "evidence": True, "threshold": None}},
]
# Refused by the handler for a reason that a type cannot express: the limits of a server, the text, the file's content.
BEYOND_TYPES = (
    "has 5 posts", "not in the text", "outside the text", "characters", "expected up to", "not base64", "is empty",
    "image format", "damaged", "larger than", "does not fetch", "has no image", "`pairs` is 'all'", "too large",
)  # fmt: skip


@pytest.fixture(scope="module")
def handler(pipe_of_three_objects):
    return EndpointHandler(pipe=pipe_of_three_objects, **HANDLER)


def conforms(request):
    validator = Draft202012Validator({**json_schema(), "$ref": "#/$defs/Request"})
    try:
        validator.validate(request)
        Request.model_validate(request)
    except (ValidationError, InvalidModel):
        return False
    return True


def test_the_file_is_up_to_date():
    expected = json.dumps(json_schema(), indent=2) + "\n"
    assert FILE.read_text() == expected, "python -m tgdi_hf.serving.schema > docs/serving.schema.json"
    Draft202012Validator.check_schema(json_schema())


def test_keys_are_those_that_the_handler_reads():
    assert tuple(Post.model_fields) == FIELDS
    assert tuple(Parameters.model_fields) == PARAMETERS
    assert tuple(EntityMapping.model_fields) == ("start", "end", *SPAN_KEYS, *MENTION_KEYS, *TYPE_KEYS)


@pytest.mark.parametrize("request_", GOOD, ids=range(len(GOOD)))
def test_what_conforms_is_accepted(request_, handler):
    assert conforms(request_)
    checked = handler.check(json.loads(json.dumps(request_)))
    answer = checked.answer(handler.results([*checked.posts.values()], checked.parameters))
    assert not checked.errors and all("error" not in one for one in (answer if isinstance(answer, list) else [answer]))
    TypeAdapter(Answer).validate_python(answer)


@pytest.mark.parametrize(("request_", "field", "message"), BAD)
def test_what_types_can_refuse_does_not_conform(request_, field, message, handler):
    assert conforms(request_) == any(part in message for part in BEYOND_TYPES)


@pytest.mark.parametrize(
    "request_",
    [
        {"inputs": {"head": "Ann", "tail": "Bob"}},
        {"inputs": {"text": "Ann meets Bob", "head": "Ann"}},
        {"inputs": {**POST, "entities": ["Ann", "Bob"]}},
        {"inputs": POST, "parameters": {"threshold": 1}},
        {"inputs": POST, "parameters": {"top_k": True}},
    ],
    ids=range(5),
)
def test_what_does_not_conform_is_refused(request_, handler):
    with pytest.raises(InvalidModel):
        Request.model_validate(request_)
    try:
        checked = handler.check(request_)
    except BadRequest:
        return
    answer = checked.answer(handler.results([*checked.posts.values()], checked.parameters))
    assert "error" in answer
    TypeAdapter(Answer).validate_python(answer)


def test_evidence_conforms(handler):
    request = {"inputs": {**POST, "image": BASE64}, "parameters": {"evidence": True}}
    checked = handler.check(request)
    answer = checked.answer(handler.results([*checked.posts.values()], checked.parameters))
    assert answer["evidence"]["cosine"] is not None
    TypeAdapter(Answer).validate_python(json.loads(json.dumps(answer)))


def test_optional_keys_of_answers_are_absent_rather_than_null():
    error = definitions()["Error"]["properties"]["id"]
    assert error == {"anyOf": [{"type": "string"}, {"type": "integer"}]}
    assert definitions("#/x/{model}")["Pairs"]["properties"]["pairs"]["items"] == {"$ref": "#/x/Relation"}

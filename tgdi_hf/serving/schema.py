"""
Requests and answers of the server and of the endpoint handler, as types.

`docs/serving.schema.json` and the OpenAPI document of the server are generated from them:

    python -m tgdi_hf.serving.schema > docs/serving.schema.json

The types describe requests. `tgdi_hf.hub.handler` checks them: it is deployed without pydantic, and answers an invalid
post of a list in its place.
"""

import json
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, TypeAdapter, model_validator
from pydantic.json_schema import GenerateJsonSchema, SkipJsonSchema
from typing_extensions import TypeAliasType

Number: TypeAlias = StrictInt | Annotated[float, Field(strict=True)]
Probability = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=1)]
Absent = SkipJsonSchema[None]  # of an optional key that is never null


def _no_default(schema: dict[str, Any]) -> None:
    schema.pop("default", None)


def _absent(description: str | None = None) -> Any:
    return Field(None, description=description, json_schema_extra=_no_default)


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _Open(BaseModel):
    model_config = ConfigDict(extra="allow")


# Requests


class EntityMapping(_Open):
    """An entity by span, mention or both, as token-classification pipelines return it. Other keys are ignored."""

    start: StrictInt | None = None
    end: StrictInt | None = None
    span: tuple[StrictInt, StrictInt] | None = None
    pos: tuple[StrictInt, StrictInt] | None = None
    text: StrictStr | None = None
    word: StrictStr | None = None
    name: StrictStr | None = None
    mention: StrictStr | None = None
    type: StrictStr | None = None
    entity_group: StrictStr | None = None
    entity: StrictStr | None = None
    label: StrictStr | None = None
    entity_type: StrictStr | None = None
    ner: StrictStr | None = None


Entity = TypeAliasType(
    "Entity",
    Annotated[StrictStr, Field(description="The name of the entity, if it occurs once in the text.")]
    | Annotated[tuple[StrictInt, StrictInt], Field(description="[start, end) in characters, or words.")]
    | EntityMapping,
)
Box = tuple[Number, Number, Number, Number]


def _text_and_entities(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [{"required": ["text"]}, {"required": ["words"]}]
    schema["oneOf"] = [{"required": ["head", "tail"]}, {"required": ["entities"]}]
    for name in ("text", "words", "head", "tail", "entities"):
        _no_default(schema["properties"][name])


class Post(BaseModel):
    """A post: its text (or words), two entities or all of them, and optionally image, objects and caption."""

    model_config = ConfigDict(extra="forbid", json_schema_extra=_text_and_entities)

    id: StrictStr | StrictInt | None = Field(None, description="Copied to the answer.")
    text: StrictStr | Absent = None
    words: list[StrictStr] | Absent = None
    head: Entity | Absent = None
    tail: Entity | Absent = None
    entities: Annotated[list[Entity], Field(min_length=2)] | Absent = None
    image: StrictStr | None = Field(None, description="Base64, a data: URL, or the URL of an allowed host.")
    objects: list[Box | StrictStr] | None = Field(
        None, description="Boxes (x0, y0, x1, y1) in pixels of the image, or images."
    )
    caption: StrictStr | None = None

    @model_validator(mode="after")
    def _has_text_and_entities(self) -> "Post":
        given = {name for name in self.model_fields_set if getattr(self, name) is not None}
        if not given & {"text", "words"}:
            raise ValueError("expected text or words")
        if ("entities" in given) == ({"head", "tail"} <= given):
            raise ValueError("expected either head and tail, or entities")
        return self


class Parameters(_Closed):
    """Options of the prediction."""

    top_k: Annotated[StrictInt, Field(ge=1)] | None = Field(
        None, description="Maximum number of relations; by default 1, for multi-label models all that hold."
    )
    drop_none: StrictBool = False
    evidence: StrictBool = False
    pairs: StrictStr | Number = Field("auto", description="How the two orders of an entity pair are combined.")
    ambiguous: Literal["error", "first", "all"] = Field(
        "error", description="Treatment of an entity whose name occurs more than once in the text."
    )
    threshold: Annotated[float, Field(gt=0, lt=1, strict=True)] | None = Field(
        None, description="Minimum probability of a relation (multi-label models only)."
    )
    truncation: StrictBool = Field(True, description="Truncate texts that are too long; false rejects them.")


class Request(_Open):
    """A request for one post, or for a list of posts."""

    inputs: Post | Annotated[list[Post], Field(min_length=1)] = Field(description="A post, or up to max_posts of them.")
    parameters: Parameters | None = None


# Answers


class Place(_Open):
    """An entity in the text; start and end count characters."""

    text: str
    start: int
    end: int
    type: str | Absent = _absent()


class Score(_Closed):
    """A relation and its probability."""

    relation: str
    score: Probability


class MatchingGate(_Closed):
    """Statistics of the matching gate (Eq. 10)."""

    mean: float
    std: float
    quantiles: Annotated[list[float], Field(min_length=5, max_length=5)]
    is_probability: bool = Field(
        description="Whether the mean estimates the probability that the images belong to the text."
    )


class Token(_Closed):
    """A token of the text, and its mean similarity and cosine over the image."""

    text: str
    special: bool = Field(description="Whether the token is an entity marker or frames the text.")
    similarity: float | Absent = _absent()
    cosine: Cosine | Absent = _absent()


class Region(_Closed):
    """An image or object, and its mean share of the tokens of head and tail."""

    region: str
    head: float
    tail: float
    cosine: Cosine | Absent = _absent()


class Branches(_Closed):
    """Shares of the two interaction branches in the winning relation."""

    cross_modal: float
    text_oriented: float


class TextOnly(_Closed):
    """The prediction without image and caption; null where no relation of a multi-label model holds."""

    relation: str | None
    score: Probability | None


class Evidence(_Closed):
    """Evidence for a prediction; null where the post has no image or the model lacks the part."""

    matching_gate: MatchingGate | None
    similarity: list[Any] | None = Field(
        description="Array of shape (images, rows, columns, tokens), values from 0 to 1."
    )
    cosine: list[Any] | None = Field(description="Array of shape (images, rows, columns, tokens), values from -1 to 1.")
    tokens: list[Token]
    regions: list[Region]
    branches: Branches | None
    text_only: TextOnly


Truncated = Annotated[
    list[Literal["text", "caption"]] | Absent,
    _absent("Inputs that were truncated to the maximum length of the model; absent if none was."),
]


class Relation(_Closed):
    """The relation between two entities."""

    id: str | int | Absent = _absent()
    head: Place
    tail: Place
    relation: str | None = Field(
        description="null if drop_none removed it, or if no relation of a multi-label model holds."
    )
    score: Probability | None
    relations: list[Score]
    gate: float | None = Field(
        description="Mean of the matching gate; null without image. The probability that the images belong to the text "
        "if the model was trained for it (gate_is_probability)."
    )
    truncated: Truncated
    evidence: Evidence | Absent = _absent()


class Pairs(_Closed):
    """The relations between all entities of a post."""

    id: str | int | Absent = _absent()
    pairs: list[Relation]
    truncated: Truncated


class Error(_Closed):
    """An invalid request or post."""

    id: str | int | Absent = _absent()
    error: str = Field(description="What was expected, what was found, and the fix.")
    field: str = Field(description="The invalid key of the request or post, or the header.")


Result = TypeAliasType("Result", Relation | Pairs | Error)
Answer = TypeAliasType("Answer", Result | list[Result])


class Health(_Closed):
    """State of the server."""

    status: Literal["starting", "ready", "stopping", "failed"]
    model: str
    version: str = Field(description="Version of tgdi_hf.")


class _Untitled(GenerateJsonSchema):
    """Without a title per field, which would repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def definitions(ref_template: str = "#/$defs/{model}") -> dict[str, Any]:
    """JSON Schemas of requests and answers, by name."""
    types: list[Any] = [Request, Answer, Health]
    inputs = [(str(i), "validation", TypeAdapter(one)) for i, one in enumerate(types)]
    _, schema = TypeAdapter.json_schemas(inputs, ref_template=ref_template, schema_generator=_Untitled)  # type: ignore[arg-type]
    return schema["$defs"]


def json_schema() -> dict[str, Any]:
    """The contents of `docs/serving.schema.json`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Requests and answers of `tgdi serve` and tgdi_hf/hub/handler.py",
        "$defs": definitions(),
    }


if __name__ == "__main__":
    print(json.dumps(json_schema(), indent=2))

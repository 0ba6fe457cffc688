"""Relations in spaCy documents: `doc._.relations`, and the extensions from which a post is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from spacy.tokens import Doc, Span

INPUTS = ("image", "objects", "caption")  # custom attributes that become keys of the post


@dataclass(frozen=True)
class Relation:
    r"""
    A relation between two entities of a document.

    Args:
        head, tail (`spacy.tokens.Span`): The entities, in the order in which the relation is read; `label_` is the
            label of the entity in the document.
        label: The relation, `relation` in a result of the pipeline.
        score: Its probability.
        gate: The mean of the matching gate; `None` without image or gate. See the pipeline for what it estimates.
        truncated: The parts that were too long for the model and were cut: `"text"`, `"caption"`.
    """

    head: Span
    tail: Span
    label: str
    score: float
    gate: float | None = None
    truncated: tuple[str, ...] = ()


@dataclass(frozen=True)
class RelationGetter:
    r"""
    The getter of `doc._.relations`.

    `doc.user_data` holds plain values with character offsets, which `Doc.to_bytes`, `DocBin(store_user_data=True)` and
    other processes can take, unlike spans; offsets remain valid if tokens are merged or split later, but not in a part
    of the document, to which `Span.as_doc(copy_user_data=True)` copies them.

    Args:
        attribute: The name of the custom attribute.
    """

    attribute: str = "relations"

    def __call__(self, doc: Doc) -> list[Relation]:
        r"""
        The relations of a document; empty if the component has found none, or has not seen the document.

        Raises:
            ValueError: They are those of a longer document, of which this one is a part.
        """
        stored = doc.user_data.get(self.key)
        if stored is None:
            return []
        if stored["length"] != len(doc.text):
            raise ValueError(
                f"`doc._.{self.attribute}` has the relations of a document of {stored['length']} characters, but this "
                f"one has {len(doc.text)}: it is a part, to which `as_doc` has copied the user data. Run the component "
                "`tgdi` on it."
            )
        return [
            Relation(
                _span(doc, *one["head"]),
                _span(doc, *one["tail"]),
                one["label"],
                one["score"],
                one["gate"],
                tuple(one["truncated"]),
            )
            for one in stored["relations"]
        ]

    def refuse(self, doc: Doc, value: Any) -> None:
        """The setter, without which spaCy would accept an assignment and ignore it."""
        raise AttributeError(f"`doc._.{self.attribute}` is read-only: the component `tgdi` fills it.")

    @property
    def key(self) -> str:
        """The key of the plain values in `doc.user_data`."""
        return f"tgdi.{self.attribute}"

    def store(self, doc: Doc, result: Mapping[str, Any], entities: Sequence[Span], min_score: float = 0.0) -> None:
        r"""
        Stores the relations in a result of the pipeline.

        Args:
            doc: The document.
            result: The result of the post with the entities of the document.
            entities: These entities.
            min_score: The lowest score of a relation.
        """
        relations = [
            {
                **{end: _offsets(pair[end], entities) for end in ("head", "tail")},
                "label": relation["relation"],
                "score": relation["score"],
                "gate": pair["gate"],
                "truncated": list(result.get("truncated", ())),
            }
            for pair in result["pairs"]
            for relation in pair["relations"]
            if relation["score"] >= min_score
        ]
        doc.user_data[self.key] = {"length": len(doc.text), "relations": relations}


def register_extensions(attribute: str = "relations") -> RelationGetter:
    r"""
    Registers `doc._.relations` and, unless they exist, `doc._.image`, `doc._.objects` and `doc._.caption`. Adding the
    component to a pipeline does the same; documents that are read in another program need it.

    Args:
        attribute: The name of the custom attribute of the relations.

    Returns:
        The getter of the relations.

    Raises:
        ValueError: A custom attribute of one of these names exists with another meaning.
    """
    from spacy.tokens import Doc

    getter = RelationGetter(attribute)
    if Doc.has_extension(attribute):
        if Doc.get_extension(attribute)[2] != getter:
            raise ValueError(
                f"The custom attribute `doc._.{attribute}` exists already, with another meaning. Choose another name "
                f"for the relations of `tgdi` (`attribute` of its config), or remove the other one: "
                f"`Doc.remove_extension({attribute!r})`."
            )
    else:
        Doc.set_extension(attribute, getter=getter, setter=getter.refuse)
    for name in INPUTS:
        if not Doc.has_extension(name):
            Doc.set_extension(name, default=None)
        elif Doc.get_extension(name)[1] is not None:
            raise ValueError(
                f"The custom attribute `doc._.{name}` exists already and is a method; expected the {name} of the "
                f"document, or `None`. Rename it: `Doc.remove_extension({name!r})`, then register it by another name."
            )
    return getter


def _offsets(entity: Mapping[str, Any], entities: Sequence[Span]) -> list[Any]:
    """Offsets of an entity and its label in the document, where it may begin or end a few characters elsewhere."""
    start, end = entity["start"], entity["end"]
    nearest = max(entities, key=lambda span: min(end, span.end_char) - max(start, span.start_char))
    return [start, end, nearest.label_]


def _span(doc: Doc, start: int, end: int, label: str) -> Span:
    span = doc.char_span(start, end, label=label, alignment_mode="expand")
    assert span is not None  # only for offsets outside the text, which does not change
    return span

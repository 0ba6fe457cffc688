"""
Reads datasets of Prodigy, as `prodigy db-out` writes them, with annotations of its interface for relations.

Shape: https://prodi.gy/docs/api-interfaces#relations. `head` and `child` are indices of tokens, and the last token of a
span, `token_end`, belongs to it (https://support.prodi.gy/t/6467). A relation points from head to child.

Offsets: code points, those of spaCy's tokens.
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

ANSWERS = ("accept", "reject", "ignore")


def read_prodigy(path: Path, options: ReaderOptions, report: Report) -> Iterator[Document]:
    r"""
    Reads the accepted examples of a dataset. Examples of one text have one `_input_hash`, so that annotators can be
    compared.

    Args:
        path: A JSON Lines file, or a folder of these.
        options: See `ReaderOptions`.
        report: Gets what cannot be used.
    """
    for found in json_documents(path, report):
        id = _id_of(found.value)
        with report.collecting(found.file, found.where, id, "document"):
            yield _document(found, found.where if id is None else id, options, report)


def _id_of(example: Any) -> str | None:
    if not isinstance(example, Mapping):
        return None
    meta = example.get("meta")
    for value in (example.get("id"), meta.get("id") if isinstance(meta, Mapping) else None, example.get("_input_hash")):
        if isinstance(value, str | int) and not isinstance(value, bool) and value != "":
            return str(value)
    return None


def _document(found: JsonDocument, id: str, options: ReaderOptions, report: Report) -> Document:
    value = as_mapping(found.value, "the example")
    id = as_id(id, "`id`")
    answer = value.get("answer", "accept")
    if answer != "accept":
        hint = "" if answer in ANSWERS else f"; expected {', '.join(ANSWERS)}"
        raise Unusable(f"the answer is {answer!r:.80}, so the example was not used{hint}.")
    if value.get("relations") is None:
        raise Unusable(
            f"the example has no `relations`, only {', '.join(map(str, value)) or 'nothing'}, so its pairs were not "
            "annotated. Annotate with the interface `relations`, for example the recipe rel.manual."
        )
    text, image = find_text(value, options), None
    with report.collecting(found.file, found.where, id, "image"):
        meta = value.get("meta")
        image = find_image(value, options) or (find_image(meta, options) if isinstance(meta, Mapping) else None)
    names = [name for key in ("_annotator_id", "_session_id") if isinstance(name := value.get(key), str) and name]
    timestamp = value.get("_timestamp")
    source = Source(
        found.file,
        found.where,
        id,
        names[0] if names else None,
        tuple(names[1:]),
        f"{timestamp:020}" if isinstance(timestamp, int) and timestamp >= 0 else "",
    )
    builder = DocumentBuilder(
        source, text, report, options.offsets or Unit.code_points, options.offsets is not None, image
    )
    _Example(builder, as_list(value.get("tokens"), "`tokens`")).read(value)
    return builder.build()


class _Example:
    """One example: its entities are found by span, its relations by span or by token."""

    def __init__(self, builder: DocumentBuilder, tokens: list[Any]):
        self.builder, self.tokens = builder, tokens
        self.by_token: dict[int, str] = {}

    def read(self, value: Mapping[str, Any]) -> None:
        for number, span in enumerate(as_list(value.get("spans"), "`spans`")):
            with self.builder.attempt("entity", f"span {number}"):
                self._entity(f"s{number}", as_mapping(span, "the span"))
        for number, relation in enumerate(as_list(value.get("relations"), "`relations`")):
            with self.builder.attempt("relation", f"relation {number}"):
                self._relation(f"r{number}", as_mapping(relation, "the relation"))

    def _entity(self, id: str, span: Mapping[str, Any]) -> None:
        start, end, mention = span.get("start"), span.get("end"), span.get("text")
        tokens = range(0)
        if span.get("token_start") is not None:
            first, last = (as_integer(span.get(key), f"`{key}`") for key in ("token_start", "token_end"))
            tokens = range(max(first, 0), min(last, len(self.builder.text)) + 1)
            if start is None and end is None:
                start, end = self._token(first)[0], self._token(last)[1]
        self.builder.entity(
            id,
            as_integer(start, "`start`"),
            as_integer(end, "`end`"),
            as_optional_label(span.get("label"), "`label`"),
            mention if isinstance(mention, str) and mention else None,
        )
        self.by_token |= dict.fromkeys(tokens, id)

    def _relation(self, id: str, relation: Mapping[str, Any]) -> None:
        head, child = (self._end(f"{id}-{end}", end, relation) for end in ("head", "child"))
        try:
            kind = as_label(relation.get("label"), "`label`")
        except Unusable:
            self.builder.undecided(head, child)
            raise
        self.builder.relation(head, child, kind)

    def _end(self, id: str, end: str, relation: Mapping[str, Any]) -> str:
        """The entity at one end of a relation; a token without a span becomes an entity without a type."""
        span = relation.get(f"{end}_span")
        if isinstance(span, Mapping):
            start, stop = (as_integer(span.get(key), f"`{end}_span.{key}`") for key in ("start", "end"))
            known = self.builder.entity_at(*self.builder.offsets.locate(start, stop))
            if known is None:
                self.builder.entity(id, start, stop, as_optional_label(span.get("label"), "`label`"))
                known = id
            return known
        index = as_integer(relation.get(end), f"`{end}`")
        if index not in self.by_token:
            start, stop = self._token(index)
            known = self.builder.entity_at(*self.builder.offsets.locate(start, stop))
            if known is None:
                self.builder.entity(id, start, stop)
                known = id
            self.by_token[index] = known
        return self.by_token[index]

    def _token(self, index: int) -> tuple[int, int]:
        """The offsets of a token."""
        if not 0 <= index < len(self.tokens):
            raise Unusable(
                f"token {index} is not among the {len(self.tokens)} `tokens` of the example. Export with `prodigy "
                "db-out`, which keeps them."
            )
        token = as_mapping(self.tokens[index], f"token {index}")
        start, end = (as_integer(token.get(key), f"`{key}` of token {index}") for key in ("start", "end"))
        return start, end

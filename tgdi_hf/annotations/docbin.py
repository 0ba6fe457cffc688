"""
Reads files of spaCy's `DocBin`, whose relations are in a custom attribute of the documents.

Shape: https://spacy.io/api/docbin. spaCy has no relations of its own. The attribute is read in the form of spaCy's
tutorial on relations (https://github.com/explosion/projects/tree/v3/tutorials/rel_component): `doc._.rel` maps the
first tokens of head and tail to the scores of relations. Lists of mappings or of triples are read, too. The file keeps
the attribute only if it was written with `store_user_data=True`.

Offsets: those of spaCy's tokens, in code points. The format is compressed msgpack, which holds data, no code.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ..extras import require
from .builder import DocumentBuilder, Source
from .document import Document, Report, Unusable
from .fields import as_id, as_integer, as_label, as_mapping, as_text
from .formats import Unit
from .reader_options import IMAGE_KEYS, ReaderOptions

THRESHOLD = 0.5  # of the tutorial
_HEADS, _TAILS, _LABELS = ("head", "from"), ("child", "tail", "dep", "to"), ("label", "relation", "type", "rel")
_EXPECTED = (
    "expected {(head token, tail token): {relation: score}}, or a list of {'head': token, 'child': token, 'label': "
    "relation} or of (head token, tail token, relation)"
)


def read_docbin(path: Path, options: ReaderOptions, report: Report) -> Iterator[Document]:
    r"""
    Reads the documents of a file. Entities are `doc.ents` and the spans of all groups in `doc.spans`.

    Args:
        path: A file, or a folder of `.spacy` files.
        options: `attribute` names the custom attribute; the text is always that of the document.
        report: Gets what cannot be used.

    Raises:
        ImportError: spaCy is not installed.
        ValueError: A file can't be read.
    """
    require("spacy", "spacy", "--format docbin")
    files = [path] if path.is_file() else sorted(path.glob("*.spacy"))
    if not files:
        raise ValueError(f"{path} has no .spacy files; expected a file of spaCy's DocBin, or a folder of these.")
    for file in files:
        for number, doc in enumerate(_docs(file, report)):
            name = f"{file.stem}-{number}"
            with report.collecting(file, f"{file.name}, document {number}", name, "document"):
                yield _document(doc, file, number, name, options, report)


def _docs(file: Path, report: Report) -> Iterator[Any]:
    """The documents of a file. Damage at its beginning raises `ValueError`; further on, it is reported."""
    from spacy.tokens import DocBin
    from spacy.vocab import Vocab

    try:
        docs = DocBin().from_disk(file)
    except Exception as error:  # spaCy raises whatever its decoders do
        raise ValueError(
            f"{file} can't be read as a DocBin: {error!r:.200}. Expected a file of `DocBin.to_disk`; a `Doc` or a "
            "pickle is another format."
        ) from error
    iterator, number = docs.get_docs(Vocab()), 0
    while True:
        try:
            doc = next(iterator)
        except StopIteration:
            return
        except Exception as error:  # as above
            report.add(
                file, f"{file.name}, document {number}", None, "document",
                f"it can't be read, nor can the rest of the {len(docs):,} documents of the file: {error!r:.200}.",
            )  # fmt: skip
            return
        yield doc
        number += 1


def _document(doc: Any, file: Path, number: int, name: str, options: ReaderOptions, report: Report) -> Document:
    text, data = as_text(doc.text), doc.user_data
    # The value of `doc._.name` is stored under ("._.", name, None, None).
    found = data.get(("._.", options.attribute, None, None))
    if found is None:
        names = [key[1] for key in data if isinstance(key, tuple) and len(key) == 4 and key[0] == "._."]
        hint = (
            f"found {', '.join(map(str, names))}" if names else "found none: write the file with store_user_data=True"
        )
        raise Unusable(
            f"the document has no custom attribute {options.attribute!r} with its relations; {hint}. Name the "
            "attribute as `attribute` (--attribute NAME)."
        )
    custom = {key[1]: value for key, value in data.items() if isinstance(key, tuple) and len(key) == 4}
    given = {**{key: value for key, value in data.items() if isinstance(key, str)}, **custom}
    id = as_id(given.get("id", name), "`id`")
    where = f"{file.name}, document {number}"
    image = None
    with report.collecting(file, where, id, "image"):
        keys = (options.image_key,) if options.image_key is not None else IMAGE_KEYS
        image = next((value for key in keys if (value := given.get(key)) not in (None, "")), None)
        if image is not None and not isinstance(image, str):
            image, wrong = None, image
            raise Unusable(f"the image is {wrong!r:.80}; expected a path.")
    builder = DocumentBuilder(Source(file, where, id), text, report, Unit.code_points, True, image)
    by_token = _read_entities(builder, doc)
    for name, head, tail, kinds in _relations(builder, found):
        with builder.attempt("relation", name):
            _read_relation(builder, by_token, len(doc), head, tail, kinds)
    return builder.build()


def _read_entities(builder: DocumentBuilder, doc: Any) -> dict[int, str]:
    """Adds the entities, and returns the entity of each token; its first token counts more than the others."""
    first: dict[int, str] = {}
    inside: dict[int, str] = {}
    groups = (span for key in doc.spans for span in doc.spans[key])
    for number, span in enumerate((*doc.ents, *groups)):
        id = f"e{number}"
        with builder.attempt("entity", f"entity {span.text!r:.80}"):
            builder.entity(id, span.start_char, span.end_char, span.label_ or None)
            first.setdefault(span.start, id)
            for token in range(span.start, span.end):
                inside.setdefault(token, id)
    return inside | first


def _relations(builder: DocumentBuilder, found: Any) -> Iterator[tuple[str, Any, Any, Any]]:
    """Name, head, tail and labels of the relations in each form of the attribute."""
    if isinstance(found, Mapping):
        for key, kinds in found.items():
            name = f"relation {key!r:.80}"
            if not isinstance(key, tuple) or len(key) != 2:
                builder.problem("relation", f"{name}: {_EXPECTED}.")
                continue
            yield name, key[0], key[1], kinds
        return
    if not isinstance(found, list | tuple):
        raise Unusable(f"the attribute is {found!r:.80}; {_EXPECTED}.")
    for number, one in enumerate(found):
        name = f"relation {number}"
        if isinstance(one, Mapping):
            head, tail, kinds = (_first(one, keys) for keys in (_HEADS, _TAILS, _LABELS))
            yield name, head, tail, kinds
        elif isinstance(one, list | tuple) and len(one) == 3:
            yield name, *one
        else:
            builder.problem("relation", f"{name} is {one!r:.80}; {_EXPECTED}.")


def _first(mapping: Mapping[Any, Any], keys: tuple[str, ...]) -> Any:
    return next((mapping[key] for key in keys if key in mapping), None)


def _read_relation(
    builder: DocumentBuilder, by_token: Mapping[int, str], tokens: int, head: Any, tail: Any, kinds: Any
) -> None:
    ends = []
    for name, value in (("head", head), ("tail", tail)):
        index = as_integer(value, f"its {name}")
        if index not in by_token:
            found = f"among {tokens} tokens" if not 0 <= index < tokens else "in no usable entity"
            raise Unusable(f"its {name} is token {index}, {found}; expected a token of an entity.")
        ends.append(by_token[index])
    try:
        if isinstance(kinds, str):
            kinds = {kinds: 1.0}
        scores = as_mapping(kinds, "its label")
        if wrong := [
            score for score in scores.values() if isinstance(score, bool) or not isinstance(score, int | float)
        ]:
            raise Unusable(f"a score is {wrong[0]!r:.80}; expected a number.")
        labels = [as_label(kind, "a label") for kind, score in scores.items() if score >= THRESHOLD]
    except Unusable:
        builder.undecided(*ends)
        raise
    for label in labels:  # none: the tutorial lists unrelated pairs with scores of 0
        builder.relation(ends[0], ends[1], label)

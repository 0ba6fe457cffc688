"""
Reads folders of brat: a `.txt` file per document, with its annotations in a `.ann` file.

Shape: https://brat.nlplab.org/standoff.html. Lines begin with T (text-bound annotation), R (relation), * (equivalence),
E (event), A or M (attribute), N (normalization) or # (note).

Offsets: code points, as brat's server, written in Python, counts them in the text as it is, carriage returns included.
The text of an annotation is exported with it and tells if another tool wrote the file in another unit.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from ..processing.post_keys import IMAGE_SUFFIXES
from .builder import DocumentBuilder, Source
from .document import Document, Report, Unusable
from .fields import as_integer, as_label, as_text
from .formats import Unit
from .reader_options import ReaderOptions

_OTHER = {
    "E": "events",
    "A": "attributes",
    "M": "attributes",
    "N": "normalizations",
    "#": "notes",
    "*": "equivalences (they have no head and tail)",
}
# BioNLP shared tasks split annotations into files for entities and for the rest.
_BIONLP = (".a1", ".a2")


def read_brat(path: Path, options: ReaderOptions, report: Report) -> Iterator[Document]:
    r"""
    Reads the documents of a folder and its subfolders. An image beside a document with the same name belongs to it.

    Args:
        path: The folder, or one `.ann` file.
        options: See `ReaderOptions`.
        report: Gets what cannot be used.

    Raises:
        ValueError: The folder has no `.ann` files.
    """
    root = path if path.is_dir() else path.parent
    files = sorted(path.rglob("*.ann")) if path.is_dir() else [path]
    if not files:
        raise ValueError(f"{path} has no .ann files; expected the folder of a collection of brat.")
    for file in files:
        id = file.relative_to(root).with_suffix("").as_posix()
        with report.collecting(file, file.name, id, "document"):
            yield _document(file, id, root, options, report)
    if not path.is_dir():
        return
    for text in sorted(path.rglob("*.txt")):
        if not text.with_suffix(".ann").is_file():
            split = any(text.with_suffix(suffix).is_file() for suffix in _BIONLP)
            reason = "its annotations are in .a1 and .a2; join them to one .ann file" if split else "no .ann file"
            report.add(text, text.name, text.relative_to(root).with_suffix("").as_posix(), "document", f"{reason}.")


def _read(file: Path) -> str:
    """A file as brat counts it: without changing the ends of lines."""
    try:
        return file.read_bytes().decode()
    except OSError as error:
        raise Unusable(f"{file.name} can't be read: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise Unusable(f"{file.name} is not encoded in UTF-8 ({error.reason} at byte {error.start}).") from None


def _document(file: Path, id: str, root: Path, options: ReaderOptions, report: Report) -> Document:
    if file.suffix != ".ann":
        raise Unusable(f"expected a file that ends in .ann, or a folder of these; found {file.name}.")
    text_file = file.with_suffix(".txt")
    if not text_file.is_file():
        raise Unusable(f"{text_file.name} is missing; expected the text beside the annotations.")
    text = as_text(_read(text_file), text_file.name)
    images = [file.with_suffix(suffix) for suffix in IMAGE_SUFFIXES if file.with_suffix(suffix).is_file()]
    builder = DocumentBuilder(
        Source(file, file.name, id),
        text,
        report,
        options.offsets or Unit.code_points,
        options.offsets is not None,
        images[0].relative_to(root).as_posix() if images else None,
    )
    if images[1:]:
        builder.problem("image", f"{', '.join(image.name for image in images)}: the first one was used.")
    _read_annotations(builder, _read(file))
    return builder.build()


def _read_annotations(builder: DocumentBuilder, content: str) -> None:
    relations, others, ids = [], Counter[str](), set()
    for number, line in enumerate(content.split("\n"), start=1):
        line = line.removesuffix("\r")
        name = f"line {number}"
        if not line.strip():
            continue
        if line[0] == "T":
            with builder.attempt("entity", name):
                _read_entity(builder, line)
        elif line[0] == "R":
            relations.append((name, line))
        elif line[0] in _OTHER:
            others[_OTHER[line[0]]] += 1
        else:
            expected = "expected a line that begins with T, R, *, E, A, M, N or #"
            builder.problem("annotation", f"{name}: {line!r:.80}; {expected}.")
    for kind, count in others.items():
        builder.problem("annotation", f"not used: {count} {kind}.")
    for name, line in relations:
        with builder.attempt("relation", name):
            id = line.split("\t")[0]
            if id in ids:
                raise Unusable(f"another relation has the id {id}.")
            ids.add(id)
            _read_relation(builder, line)


def _read_entity(builder: DocumentBuilder, line: str) -> None:
    parts = line.split("\t")
    if len(parts) < 2:
        raise Unusable(f"{line!r:.80}; expected id, type with span, and text, separated by tabs.")
    kind, _, places = parts[1].strip().partition(" ")
    spans = []
    for place in places.split(";"):
        numbers = place.split()
        if len(numbers) != 2:
            raise Unusable(f"{line!r:.80}; expected a type and a span, such as 'PER 0 3'.")
        spans.append((as_integer(numbers[0], "the start"), as_integer(numbers[1], "the end")))
    mention = parts[2] if len(parts) > 2 and parts[2] else None
    if len(spans) > 1:
        # brat cuts spans at line breaks; the parts are then separated by white space only.
        located = [builder.offsets.locate(*span) for span in spans]
        gaps = [builder.text[end:start] for (_, end), (start, _) in pairwise(located)]
        if any(gap.strip() or not gap for gap in gaps):
            raise Unusable(f"{parts[0]} is discontinuous, {places}; expected one span.")
    builder.entity(parts[0], spans[0][0], spans[-1][1], as_label(kind, "the type"), mention)


def _read_relation(builder: DocumentBuilder, line: str) -> None:
    parts = line.split("\t")
    words = parts[1].split() if len(parts) > 1 else []
    ends = [word.partition(":") for word in words[1:]]
    if len(ends) != 2 or not all(role and colon and id for role, colon, id in ends):
        raise Unusable(f"{line!r:.80}; expected a type and two arguments, such as 'knows Arg1:T1 Arg2:T2'.")
    if ends[0][0] == "Arg2":
        ends.reverse()
    head, tail = (id for _, _, id in ends)
    if events := [id for id in (head, tail) if id.startswith("E")]:
        raise Unusable(f"its argument {events[0]} is an event; expected text-bound annotations (T).")
    builder.relation(head, tail, as_label(words[0], "the type"))

"""From posts to rows of head, relation, tail."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..data.post_files import RowWriter
from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import is_missing
from .ner import token_classifier, with_entities

COLUMNS = {
    "id": str,
    "head": str,
    "relation": str,
    "tail": str,
    "score": float,
    "head_start": int,
    "head_end": int,
    "tail_start": int,
    "tail_end": int,
}
ROWS_AT_A_TIME = 1024


def extract_triples(
    pipe: Callable,
    posts: Iterable[Mapping[str, Any] | InvalidPost],
    ner: Callable | None = None,
    min_score: float = 0.0,
    batch_size: int = 16,
    on_error: Callable[[str], Any] | None = None,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    r"""
    The relations that posts tell of, one row each, as posts are read.

    Args:
        pipe: A `MultimodalRelationExtractionPipeline`.
        posts: As the pipeline takes them.
        ner: Finds the entities of posts without, see `with_entities`. A post in which it finds fewer than two has no
            relation; one on which it fails, or in which it finds more than the pipeline takes, can't be used.
        min_score: Rows that are less likely are left out.
        batch_size: Posts that are read together.
        on_error: Called with what is wrong with a post that can't be used; without it such a post is an error.
        options: Of the pipeline's call.

    Yields:
        `id` of the post, `head`, `relation`, `tail`, `score`, and where the two stand in the text, in characters.

    Raises:
        InvalidPost: A post that can't be used, where there is no `on_error`.
    """
    if ner is not None:
        # Posts that are left out must not change the numbers of those that follow.
        posts = with_entities(map(_numbered, count(), posts), ner, batch_size)
        posts = (post for post in posts if not isinstance(post, Mapping) or _has_a_pair(post))
    strict = on_error is None
    for result in pipe(iter(posts), drop_none=True, strict=strict, batch_size=batch_size, **options):
        if "error" in result:
            on_error(result["error"])
            continue
        for pair in result.get("pairs", [result]):
            for one in pair["relations"]:
                if one["score"] >= min_score:
                    yield _row(result.get("id"), pair | one)


def _numbered(number: int, post: Any) -> Any:
    if not isinstance(post, Mapping) or not is_missing(post.get("where")):
        return post
    return {**post, "where": f"post {number}"}


def _has_a_pair(post: Mapping[str, Any]) -> bool:
    entities = post.get("entities")
    return not isinstance(entities, list) or len(entities) > 1


def _row(post_id: Any, found: Mapping[str, Any]) -> dict[str, Any]:
    head, tail = found["head"], found["tail"]
    row = {"id": post_id, "head": head["text"], "relation": found["relation"], "tail": tail["text"]}
    places = {f"{name}_{side}": found[name][side] for name in ("head", "tail") for side in ("start", "end")}
    return {**row, "score": found["score"], **places}


def write_triples(rows: Iterable[Mapping[str, Any]], path: str | Path, base: str = "urn:tgdi:") -> int:
    r"""
    Writes rows of `extract_triples` as they come.

    N-Triples (by rdflib) have for each row the triple itself, between IRIs that are made of what the entities are
    called, and their labels; and a statement about it (`rdf:Statement`) with its score and the post's id.

    Args:
        rows: What to write.
        path: A `.jsonl`, `.csv`, `.parquet` or `.nt` file.
        base: What the IRIs of N-Triples begin with.

    Returns:
        How many rows there were.

    Raises:
        ImportError: N-Triples need rdflib: `pip install 'tgdi_hf[rdf]'`.
    """
    path, rows = Path(path), iter(rows)
    if path.suffix.lower() == ".nt":
        return _write_n_triples(rows, path, base)
    writer, written = RowWriter(path, COLUMNS), 0
    while part := list(islice(rows, ROWS_AT_A_TIME)):
        writer.write(part)
        written += len(part)
    writer.finish()
    writer.discard()
    return written


def _write_n_triples(rows: Iterator[Mapping[str, Any]], path: Path, base: str) -> int:
    try:
        from rdflib import RDF, RDFS, XSD, BNode, Graph, Literal, URIRef
    except ImportError:
        raise ImportError("N-Triples are written by rdflib: pip install 'tgdi_hf[rdf]'") from None
    written, part = 0, path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    score, post = URIRef(f"{base}score"), URIRef(f"{base}post")
    with part.open("w", encoding="utf-8") as file:
        for written, row in enumerate(rows, start=1):
            head, tail = (URIRef(f"{base}entity/{quote(row[name], safe='')}") for name in ("head", "tail"))
            relation, said = URIRef(f"{base}relation/{quote(row['relation'].strip('/'))}"), BNode(f"s{written}")
            triples = [
                (head, RDFS.label, Literal(row["head"])),
                (tail, RDFS.label, Literal(row["tail"])),
                (head, relation, tail),
                (said, RDF.type, RDF.Statement),
                (said, RDF.subject, head),
                (said, RDF.predicate, relation),
                (said, RDF.object, tail),
                (said, score, Literal(f"{row['score']:.6f}", datatype=XSD.decimal)),
            ]
            if row["id"] is not None:
                triples.append((said, post, Literal(str(row["id"]))))
            # One graph each: they have no order.
            file.writelines(Graph().add(triple).serialize(format="nt") for triple in triples)
    part.replace(path)
    return written


__all__ = ["COLUMNS", "extract_triples", "token_classifier", "with_entities", "write_triples"]

"""Writing triples: JSON Lines, CSV, Parquet and N-Triples."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

from ..data.row_writer import RowWriter
from ..extras import require

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
ROWS_PER_WRITE = 1024


def write_triples(rows: Iterable[Mapping[str, Any]], path: str | Path, base: str = "urn:tgdi:") -> int:
    r"""
    Writes the rows of `extract_triples` as they arrive.

    N-Triples (through rdflib) hold, for each row, the triple itself between IRIs built from the entity names, the
    labels of both entities, and a statement about the triple (`rdf:Statement`) with its score and the post's id.

    Args:
        rows: Rows of `extract_triples`.
        path: A `.jsonl`, `.csv`, `.parquet` or `.nt` file.
        base: Prefix of the IRIs in N-Triples.

    Returns:
        The number of rows written.

    Raises:
        ImportError: N-Triples require rdflib: `pip install 'tgdi_hf[rdf]'`.
    """
    path, rows = Path(path), iter(rows)
    if path.suffix.lower() == ".nt":
        return _write_n_triples(rows, path, base)
    writer, written = RowWriter(path, COLUMNS), 0
    while chunk := list(islice(rows, ROWS_PER_WRITE)):
        writer.write(chunk)
        written += len(chunk)
    writer.finish()
    writer.discard()
    return written


def _write_n_triples(rows: Iterator[Mapping[str, Any]], path: Path, base: str) -> int:
    require("rdflib", "rdf", "Writing N-Triples")
    from rdflib import RDF, RDFS, XSD, BNode, Graph, Literal, URIRef

    written, part = 0, path.with_name(path.name + ".part")
    part.parent.mkdir(parents=True, exist_ok=True)
    score, post = URIRef(f"{base}score"), URIRef(f"{base}post")
    with part.open("w", encoding="utf-8") as file:
        for written, row in enumerate(rows, start=1):
            head, tail = (URIRef(f"{base}entity/{quote(row[name], safe='')}") for name in ("head", "tail"))
            relation, statement = URIRef(f"{base}relation/{quote(row['relation'].strip('/'))}"), BNode(f"s{written}")
            triples = [
                (head, RDFS.label, Literal(row["head"])),
                (tail, RDFS.label, Literal(row["tail"])),
                (head, relation, tail),
                (statement, RDF.type, RDF.Statement),
                (statement, RDF.subject, head),
                (statement, RDF.predicate, relation),
                (statement, RDF.object, tail),
                (statement, score, Literal(f"{row['score']:.6f}", datatype=XSD.decimal)),
            ]
            if row["id"] is not None:
                triples.append((statement, post, Literal(str(row["id"]))))
            # One graph per triple: a graph does not keep the order of its triples.
            file.writelines(Graph().add(triple).serialize(format="nt") for triple in triples)
    part.replace(path)
    return written

import csv
import json

import pyarrow.parquet as parquet
import pytest

from tgdi_hf.inference.triple_files import write_triples

ROWS = [
    {"id": 1, "head": 'Ann "A" Lee', "relation": "/per/org/member_of", "tail": "Café <x>", "score": 0.5}
    | {"head_start": 0, "head_end": 3, "tail_start": 4, "tail_end": 5},
    {"id": None, "head": "b\nb", "relation": "works for", "tail": "c", "score": 0.25}
    | {"head_start": 0, "head_end": 1, "tail_start": 2, "tail_end": 3},
]


def test_json_lines_csv_and_parquet(tmp_path):
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        assert write_triples(ROWS, tmp_path / name) == 2
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == ROWS
    with (tmp_path / "a.csv").open(newline="") as file:
        assert next(csv.DictReader(file))["head"] == 'Ann "A" Lee'
    assert parquet.read_table(tmp_path / "a.parquet").to_pylist()[0] == {**ROWS[0], "id": "1"}
    assert {path.name for path in tmp_path.iterdir()} == {"a.jsonl", "a.csv", "a.parquet"}


def test_rdflib_parses_the_n_triples(tmp_path):
    rdflib = pytest.importorskip("rdflib")
    assert write_triples(ROWS, tmp_path / "new" / "a.nt", base="https://example.org/") == 2
    graph = rdflib.Graph().parse(tmp_path / "new" / "a.nt")
    assert rdflib.Literal("b\nb") in set(graph.objects(None, rdflib.RDFS.label))
    member_of = rdflib.URIRef("https://example.org/relation/per/org/member_of")
    ((head, tail),) = graph.subject_objects(member_of)
    assert str(graph.value(head, rdflib.RDFS.label)) == 'Ann "A" Lee'
    assert str(graph.value(tail, rdflib.RDFS.label)) == "Café <x>"
    (statement,) = graph.subjects(rdflib.RDF.predicate, member_of)
    assert float(graph.value(statement, rdflib.URIRef("https://example.org/score"))) == 0.5
    assert str(graph.value(statement, rdflib.URIRef("https://example.org/post"))) == "1"
    assert len(graph) == 4 + 2 + 6 + 5  # labels, facts, statements with and without a post

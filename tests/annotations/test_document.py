import json

from tgdi_hf.annotations.document import Report, Unusable, directed_relations

from .conftest import document


def test_relations_are_directed_and_listed_once():
    relations = [(0, 1, "knows"), (1, 0, "couple"), (0, 1, "couple"), (2, 0, "knows", True)]
    found = directed_relations(document(relations=relations), lambda kind: kind == "couple")
    assert [(head.id, tail.id, kind) for head, tail, kind in found] == [
        ("0", "1", "knows"), ("0", "1", "couple"), ("2", "0", "knows"), ("0", "2", "knows"),
    ]  # fmt: skip


def test_a_report_lists_file_place_id_and_reason(tmp_path):
    report = Report()
    with report.collecting("a.json", "item 1", "7", "entity"):
        raise Unusable("too short")
    report.add("a.json", "item 2", None, "entity", "half a \ud83d")
    report.add("a.json", "item 2", None, "image", "gone")
    report.write(tmp_path / "report.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "report.jsonl").read_text().splitlines()]
    assert lines[0] == {"file": "a.json", "where": "item 1", "id": "7", "part": "entity", "reason": "too short"}
    assert len(lines) == 3 and report.counts() == {"entity": 2, "image": 1}

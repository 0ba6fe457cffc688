import json

import pytest

from examples.research.vlm_baseline.relations import DESCRIPTIONS, allowed_for, describe, read_descriptions
from tgdi_hf.data.mnre_schema import RELATIONS
from tgdi_hf.demo.corpus_schema import LABELS

NAMES = ("None", "/per/per/peer", "/per/loc/place_of_birth", "/loc/loc/contain")


@pytest.mark.parametrize("names", [RELATIONS, LABELS])
def test_every_relation_of_a_known_corpus_is_described(names):
    described = describe(names, "None")
    assert list(described) == list(names)
    assert len(set(described.values())) == len(names)
    assert set(names) - {"None"} <= set(DESCRIPTIONS)


def test_given_descriptions_take_precedence_and_other_labels_are_described_by_their_words():
    names = ["no", "per:works_for", "/a/b/sits_on", "/per/per/peer"]
    given = {"/per/per/peer": "head and tail play chess"}
    assert describe(names, "no", given) == {
        "no": "no other relation of this list holds between head and tail",
        "per:works_for": "per works for",
        "/a/b/sits_on": "sits on",
        "/per/per/peer": "head and tail play chess",
    }
    assert describe(["a"], None) == {"a": "a"}


def test_types_restrict_the_relations():
    def allowed(**row):
        return [name for name, possible in zip(NAMES, allowed_for(row, NAMES, "row 0")) if possible]

    assert allowed(head_type="PERSON", tail_type="B-LOC") == ["None", "/per/loc/place_of_birth"]
    assert allowed(head_type="per", tail_type=None) == ["None", "/per/per/peer", "/per/loc/place_of_birth"]
    assert allowed(head_type="org", tail_type="org") == ["None"]
    assert allowed(head_type="", tail_type="") == allowed() == list(NAMES)


def test_types_of_the_true_label_are_not_read():
    """They would tell the rows with a relation from those without."""
    assert all(allowed_for({"label": 3, "relation": "/loc/loc/contain"}, NAMES, "row 0"))


def test_a_type_must_be_a_string():
    with pytest.raises(ValueError, match="row 7: `tail_type` is 3; expected an entity type"):
        allowed_for({"head_type": "per", "tail_type": 3}, NAMES, "row 7")


def test_descriptions_are_read(tmp_path):
    file = tmp_path / "relations.json"
    file.write_text(json.dumps({"a": "über b"}), encoding="utf-8")
    assert read_descriptions(file) == {"a": "über b"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "relations.json cannot be read as JSON: .*No such file"),
        ("{", "relations.json cannot be read as JSON"),
        (b"\xff\xfe", "relations.json cannot be read as JSON"),
        ("[1]", r"expected a JSON object from relations to descriptions, found \[1\]"),
        ("{}", "expected a JSON object from relations to descriptions, found {}"),
        ('{"a": 3}', "'a': expected a description of one line, found 3"),
        ('{"a": " "}', "'a': expected a description of one line, found ' '"),
        ('{"a": "b\\nc"}', "'a': expected a description of one line"),
    ],
)
def test_bad_files_of_descriptions(tmp_path, content, message):
    file = tmp_path / "relations.json"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        read_descriptions(file)


def test_descriptions_of_unknown_labels_are_refused():
    with pytest.raises(ValueError, match="Descriptions of 'x', which is not a label; the labels are a, b"):
        describe(["a", "b"], None, {"x": "y"})

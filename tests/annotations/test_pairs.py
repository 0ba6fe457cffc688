import pytest

from tgdi_hf.annotations.document import Report
from tgdi_hf.annotations.pairs import Negatives, RowMaker

from .conftest import document

ANN, BOB, ROME = [0, 3], [10, 13], [17, 21]


def rows(found, negatives="all", symmetric=("couple",), multi_label=False, seed=0):
    report = Report()
    maker = RowMaker(
        lambda kind: kind in symmetric, Negatives.parse(negatives), "None", multi_label, seed, report
    )  # fmt: skip
    return maker.rows(found), [problem.reason for problem in report.problems]


def labelled(*arguments, **options):
    made, report = rows(*arguments, **options)
    return [(row["head"], row["tail"], row["label"]) for row in made], report


def test_unrelated_pairs_are_listed_in_both_orders():
    found, report = labelled(document(relations=[(1, 0, "knows")]))
    assert found == [
        (BOB, ANN, "knows"),
        (ANN, ROME, "None"), (ROME, ANN, "None"), (BOB, ROME, "None"), (ROME, BOB, "None"),
    ] and not report  # fmt: skip


def test_symmetric_relations_are_listed_in_both_orders():
    for head, tail in ((0, 1), (1, 0)):
        found, _ = labelled(document(relations=[(head, tail, "couple")]), negatives="none")
        assert found == [(ANN, BOB, "couple"), (BOB, ANN, "couple")]


def test_relations_in_both_directions():
    found, _ = labelled(document(relations=[(0, 1, "knows", True), (1, 2, "lives")]), negatives="none")
    assert found == [(ANN, BOB, "knows"), (BOB, ANN, "knows"), (BOB, ROME, "lives")]


def test_rows_have_ids_types_and_text():
    (row, *_), _ = rows(document(relations=[(0, 1, "knows")], types=["PER", None, "LOC"]))
    assert row == {
        "id": "7#0-3-10-13", "post_id": "7", "text": "Ann meets Bob in Rome", "head": ANN, "tail": BOB,
        "head_type": "PER", "tail_type": None, "label": "knows",
    }  # fmt: skip


def test_a_sample_is_seeded_and_independent_of_other_documents():
    many = document(" ".join("abcdefghij"), [(i, i + 1) for i in range(0, 20, 2)])
    first, second, other = (labelled(many, negatives="sample:3", seed=seed)[0] for seed in (0, 0, 1))
    assert first == second != other and len(first) == 6
    assert {(head[0], tail[0]) for head, tail, _ in first} == {(tail[0], head[0]) for head, tail, _ in first}
    assert len(labelled(document(), negatives="sample:99")[0]) == 6


def test_undecided_pairs_are_not_unrelated():
    found, _ = labelled(document(undecided=frozenset([frozenset("01"), frozenset("12")])))
    assert found == [(ANN, ROME, "None"), (ROME, ANN, "None")]


def test_a_pair_labelled_as_unrelated():
    found, report = labelled(document(relations=[(1, 0, "None")]), negatives="none")
    assert found == [(ANN, BOB, "None"), (BOB, ANN, "None")] and not report
    found, report = labelled(document(relations=[(1, 0, "None"), (0, 1, "knows")]), negatives="none")
    assert not found and report == ["'Ann' to 'Bob' is labelled 'None' and 'knows'; left out."]


def test_several_relations_of_a_pair():
    found, report = labelled(document(relations=[(0, 1, "knows"), (0, 1, "likes"), (1, 0, "hates")]))
    assert found[0] == (BOB, ANN, "hates") and (ANN, BOB, "None") not in found
    assert report == [
        "'Ann' to 'Bob' has 2 relations, knows, likes; left out. To keep all of them, pass `multi_label=True` "
        "(--multi-label)."
    ]
    found, report = labelled(document(relations=[(0, 1, "knows"), (0, 1, "likes")]), multi_label=True)
    assert found[:2] == [(ANN, BOB, ["knows", "likes"]), (ANN, ROME, [])] and not report


def test_too_many_entities_for_all_pairs():
    text = "x " * 65
    many = document(text, [(i, i + 1) for i in range(0, 130, 2)], [(0, 1, "knows")])
    found, report = labelled(many)
    assert len(found) == 1
    assert report == ["the document has 65 entities, more than 64; its unrelated pairs were left out."]


@pytest.mark.parametrize("text", ["some", "sample", "sample:0", "sample:-1", "sample:²", "all:3", ""])
def test_unknown_choices_of_negatives(text):
    with pytest.raises(ValueError, match="expected all, none or sample:N"):
        Negatives.parse(text)

import pytest

from tgdi_hf.annotations.annotators import Agreement, choose_annotators
from tgdi_hf.annotations.document import Report

from .conftest import document


def by(name, *relations, **fields):
    return document(relations=relations, annotator=name, **fields)


def choose(documents, *rule, symmetric=()):
    report = Report()
    chosen, agreement = choose_annotators(documents, rule, lambda kind: kind in symmetric, report)
    return chosen, agreement, [f"{problem.part}: {problem.reason}" for problem in report.problems]


def relations_of(document):
    spans = {entity.id: entity.span for entity in document.entities}
    return [(spans[relation.head], spans[relation.tail], relation.type) for relation in document.relations]


def test_a_majority_keeps_a_relation():
    three = [by("a", (0, 1, "knows")), by("b", (0, 1, "knows"), (1, 2, "lives")), by("c", (0, 1, "likes"))]
    (merged,), agreement, report = choose(three, "majority")
    assert relations_of(merged) == [((0, 3), (10, 13), "knows")] and not merged.undecided
    assert agreement == Agreement(posts=1, relations=3, unanimous=0) and merged.annotator == "a, b, c"
    assert report == [
        "disagreement: relation 'knows' from 'Ann' to 'Bob': marked by a, b of 3; used.",
        "disagreement: relation 'lives' from 'Bob' to 'Rome': marked by b of 3; left out.",
        "disagreement: relation 'likes' from 'Ann' to 'Bob': marked by c of 3; left out.",
    ]


def test_a_tie_leaves_the_pair_undecided():
    (merged,), _, report = choose([by("a", (0, 1, "knows")), by("b")], "majority")
    ids = {entity.span: entity.id for entity in merged.entities}
    assert not merged.relations and merged.undecided == {frozenset((ids[0, 3], ids[10, 13]))}
    assert report == [
        "disagreement: relation 'knows' from 'Ann' to 'Bob': marked by a of 2; left out, and the pair is not used as "
        "unrelated."
    ]


def test_entities_and_types_by_majority():
    documents = [
        document(spans=[(0, 3), (17, 21)], types=["PER", "LOC"], annotator="a"),
        document(spans=[(0, 3), (17, 21)], types=["ORG", "LOC"], annotator="b"),
        document(spans=[(0, 3), (10, 13)], types=["PER", "PER"], annotator="c"),
    ]
    (merged,), _, report = choose(documents, "majority")
    assert [(entity.span, entity.type) for entity in merged.entities] == [((0, 3), "PER"), ((17, 21), "LOC")]
    assert report == [
        "disagreement: entity 'Ann' [0, 3): PER by a, ORG by b, PER by c; PER is most frequent.",
        "disagreement: entity 'Bob' [10, 13): marked by c of 3; left out.",
        "disagreement: entity 'Rome' [17, 21): marked by a, b of 3; used.",
    ]


def test_the_direction_of_a_symmetric_relation_is_no_disagreement():
    (merged,), agreement, report = choose(
        [by("a", (0, 1, "couple")), by("b", (1, 0, "couple"))], "majority", symmetric=["couple"]
    )
    assert len(merged.relations) == 1 and agreement == Agreement(1, 1, 1) and not report


def test_undecided_pairs_stay_undecided():
    (merged,), *_ = choose([by("a", undecided=frozenset([frozenset("01")])), by("b")], "majority")
    assert merged.undecided == {frozenset(("0-3", "10-13"))}


def test_first_is_the_oldest():
    two = [by("a", created="2024-02"), by("b", (0, 1, "knows"), created="2024-01")]
    (chosen,), _, report = choose(two, "first")
    assert chosen is two[1] and "the annotation of the chosen annotator was used" in report[0]
    two[1] = by("b")
    assert choose(two, "first")[0] == [two[0]]


def test_annotators_by_name_in_order_of_preference():
    a, b, c = by("a@x.org", aliases=("1",)), by("b@x.org", aliases=("2",)), by("c@x.org", id="8")
    assert choose([a, b, c], "1")[0] == [a]
    assert choose([a, b], "2", "1")[0] == [b]
    chosen, _, report = choose([a, b, c], "z", "a@x.org")
    assert chosen == [a] and report == ["document: no annotation by z, a@x.org; found c@x.org."]


def test_the_last_of_several_annotations_by_one_annotator():
    new, old = by("a", created="2024-02", where="2"), by("a", created="2024-01", where="1")
    for order in ([new, old], [old, new]):
        chosen, agreement, report = choose(order, "majority")
        assert chosen == [new] and agreement == Agreement()
        assert report == ["annotation: a annotated the post again (2); the later annotation was used."]
    assert len(choose([by(None), by(None)], "majority")[0]) == 1


def test_one_id_with_two_texts():
    chosen, _, report = choose([by("a"), document("Ann saw Bob", [(0, 3)], annotator="b")], "majority")
    assert len(chosen) == 1 and report == [
        "document: the id also belongs to w, which has another text; expected one id per post."
    ]


@pytest.mark.parametrize("rule", ["majority", "first"])
def test_single_annotations_are_unchanged(rule):
    documents = [by("a"), by("b", id="8")]
    assert choose(documents, rule) == (documents, Agreement(), [])

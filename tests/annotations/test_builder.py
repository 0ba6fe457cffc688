import pytest

from tgdi_hf.annotations.builder import DocumentBuilder, Source
from tgdi_hf.annotations.document import Report, Unusable
from tgdi_hf.annotations.formats import Unit


@pytest.fixture
def report():
    return Report()


@pytest.fixture
def builder(report):
    return DocumentBuilder(Source("a.json", "item 1", "7"), "Ann meets Bob, Ann Lee", report, Unit.code_points)


def test_entities_are_trimmed_and_in_text_order(builder):
    builder.entity("b", 9, 13, "PER")
    builder.entity("a", 0, 3, "PER")
    assert [(entity.id, entity.span) for entity in builder.build().entities] == [("a", (0, 3)), ("b", (10, 13))]
    assert builder.entity_at(0, 4) == "a" and builder.entity_at(4, 9) is None


def test_one_entity_per_span(builder, report):
    builder.entity("a", 0, 3, "PER")
    builder.entity("b", 0, 4, "ORG")
    builder.entity("c", 10, 13)
    builder.entity("d", 10, 13)
    builder.relation("b", "c", "knows")
    (relation,) = builder.build().relations
    assert (relation.head, relation.tail) == ("a", "c")
    assert [problem.reason for problem in report.problems] == [
        "entity b: 'Ann' is also 'PER' (entity a); the type 'ORG' was left out."
    ]


def test_entities_and_relations_that_cannot_be_used(builder):
    builder.entity("a", 0, 3)
    builder.entity("c", 0, 3)
    for add, message in (
        (lambda: builder.entity("a", 10, 13), "same id"),
        (lambda: builder.entity("b", 3, 4), "no visible character"),
        (lambda: builder.relation("a", "x", "knows"), "its tail is 'x', which is not a usable entity"),
        (lambda: builder.relation("x", "a", "knows"), "its head is 'x'"),
        (lambda: builder.relation("a", "c", "knows"), "head and tail are the same span, 'Ann'"),
    ):
        with pytest.raises(Unusable, match=message):
            add()
    assert not builder.build().relations


def test_the_same_relation_twice_is_one(builder):
    builder.entity("a", 0, 3)
    builder.entity("b", 10, 13)
    builder.relation("a", "b", "knows")
    builder.relation("a", "b", "knows", both_ways=True)
    builder.relation("a", "b", "knows")
    assert [relation.both_ways for relation in builder.build().relations] == [True]


def test_undecided_pairs_and_problems(builder, report):
    builder.entity("a", 0, 3)
    builder.entity("b", 10, 13)
    builder.undecided("a", "b")
    builder.undecided("a", "x")
    with builder.attempt("relation", "result 3"):
        raise Unusable("no label.")
    assert builder.build().undecided == {frozenset(("a", "b"))}
    assert report.problems[0].reason == "result 3: no label." and report.problems[0].id == "7"

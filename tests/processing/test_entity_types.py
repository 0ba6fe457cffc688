import pytest

from tgdi_hf.processing import entity_types as module
from tgdi_hf.processing.entity_types import allowed_relations, type_of, types_of

NAMES = ("None", "/per/org/member_of", "/per/per/peer")


@pytest.mark.parametrize(
    ("head", "tail", "allowed"),
    [
        ("PER", "ORG", [True, True, False]),
        ("B-PERSON", None, [True, True, True]),
        (None, "person", [True, False, True]),
        ("GPE", "ORG", [True, False, False]),  # no relation here involves a location
        ("organization", "PER", [True, False, False]),
        ("DATE", "PER", [True, False, True]),
    ],
)
def test_relations_are_restricted_by_the_entity_types(head, tail, allowed):
    assert list(allowed_relations(NAMES, head, tail)) == allowed


def test_relations_without_types_are_always_allowed():
    names = ("None", "/drug/disease/treats")
    assert allowed_relations(names, "PER", "disease") == (True, True)
    assert allowed_relations(names, "disease", "PER") == (True, False)
    assert allowed_relations(("None", "works_for"), "PER", "ORG") == (True, True)


def test_types_that_users_invent_are_not_kept():
    allowed_relations(NAMES, "PER", None)
    before = module._allowed.cache_info().currsize
    assert all(all(allowed_relations(NAMES, f"type {i}", f"{i} type")) for i in range(20))
    assert module._allowed.cache_info().currsize <= before + 1  # all of them are one unknown type


def test_tags_are_mapped_to_mnre_types():
    assert [type_of(label) for label in ("B-PER", "Person", "GPE", "I-ORG", "work_of_art", "DATE", None)] == [
        *("per", "per", "loc", "org", "misc", "date"),
        None,
    ]


def test_types_of_relation_labels():
    mnre = {"per", "org", "loc", "misc"}
    assert types_of(NAMES) == mnre and types_of(("/loc/loc/contain",)) == mnre
    assert types_of(("None", "/drug/disease/treats")) == {"drug", "disease"}
    assert types_of(("None", "works_for")) == set()

import numpy as np
import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.processing.entity_mentions import Entity, PostText, text_and_spans, type_of


@pytest.mark.parametrize(
    ("text", "mention", "place"),
    [
        ("Annual Ann", "Ann", (7, 10)),
        ("#Obama2012 won", "Obama", (1, 6)),
        ("AT&T and AT", "AT&T", (0, 4)),
        ("in C++ he", "C++", (3, 6)),
        ("JFK", " JFK ", (0, 3)),
        ("Ärzte und Ärztekammer", "Ärzte", (0, 5)),
    ],
)
def test_entities_are_found_by_what_they_are_called(text, mention, place):
    assert find_entity(text, mention, "head", "row 1") == place


@pytest.mark.parametrize(
    ("text", "mention", "message"),
    [
        ("JFK", "Obama", "^row 1: `head` is 'Obama', which is not in the text: 'JFK'"),
        ("JFK", " ", "which is not in the text"),
        ("a b a", "a", r"2 times; say which: \[0, 1\), \[4, 5\)"),
        ("Annual Annotated", "Ann", r"2 times; say which: \[0, 3\), \[7, 10\)"),
        ("Bora Bora Bora", "Bora Bora", r"2 times; say which: \[0, 9\), \[5, 14\)"),
    ],
)
def test_entities_that_are_not_there_or_not_one_are_refused(text, mention, message):
    with pytest.raises(ValueError, match=message):
        find_entity(text, mention, "head", "row 1")


def test_entities_of_posts_in_words():
    row = {"words": ["JFK", "and", "", "Barack", "Obama"], "head": "Barack Obama", "tail": [0, 1]}
    text, in_characters, in_words = text_and_spans(row, "row")
    assert text[slice(*in_characters[0])] == "Barack Obama"
    assert in_words == ((3, 5), (0, 1))
    # A part of a word stands for the word.
    assert text_and_spans({**row, "head": "Bara"}, "row")[2][0] == (3, 4)


def test_a_post_without_text_is_refused():
    for row in ({"head": [0, 1]}, {"text": " ", "head": [0, 1]}, {"text": None}, {"words": []}):
        with pytest.raises(ValueError, match="row 1: the post has no text"):
            text_and_spans(row, "row 1")


TEXT = PostText({"text": "JFK and Obama at Harvard"}, "row 1")


@pytest.mark.parametrize(
    ("value", "entity"),
    [
        ([0, 3], Entity((0, 3), (0, 3))),
        (np.array([0, 3]), Entity((0, 3), (0, 3))),
        ("Obama", Entity((8, 13), (8, 13))),
        (
            {"start": 17, "end": 24, "entity_group": "ORG", "score": 0.9, "word": "harvard"},
            Entity((17, 24), (17, 24), "ORG"),
        ),
        ({"word": "JFK", "entity": "B-PER", "start": None, "end": None}, Entity((0, 3), (0, 3), "B-PER")),
        ({"text": "JFK", "type": "per"}, Entity((0, 3), (0, 3), "per")),
    ],
)
def test_all_ways_to_point_at_an_entity(value, entity):
    assert TEXT.entity(value, "head") == entity


def test_entities_in_words_know_their_characters():
    text = PostText({"words": np.array(["JFK", "and", "Barack", "Obama"])}, "row")
    assert text.entity((2, 4), "head") == Entity((8, 20), (2, 4))
    assert text.entity("Obama", "head") == Entity((15, 20), (3, 4))


def test_token_classifiers_count_characters_of_posts_in_words_too():
    text = PostText({"words": ["JFK", "and", "José", "Obama", "at", "Harvard"]}, "row 1")
    jose = Entity((8, 18), (2, 4), "PER")
    found = {"entity_group": "PER", "word": "jose obama", "start": 8, "end": 18}
    assert text.entity(found, "head") == text.entity({**found, "start": 2, "end": 4}, "head") == jose
    assert text.entity({"start": 0, "end": 3, "word": "JFK"}, "head") == Entity((0, 3), (0, 1))
    assert text.entity({"start": 0, "end": 3}, "head") == Entity((0, 12), (0, 3))
    message = r"`head` is 'Obama' from 0 to 3, but that is 'JFK and José' in words and 'JFK' in characters"
    with pytest.raises(InvalidPost, match=message):
        text.entity({"start": 0, "end": 3, "word": "Obama"}, "head")
    with pytest.raises(InvalidPost, match="expected a span"):
        text.entity({"start": "0", "end": "3", "word": "JFK"}, "head")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (None, "`head` is None; expected a span"),
        ({}, r"`head` is \{\}; expected `start` and `end`, or `text`"),
        ({"start": 0, "end": 3, "type": 5}, "the type of `head` is 5; expected a string"),
        ({"start": 3, "end": 3}, r"\[3, 3\), is empty"),
        ({"word": "Nixon"}, "'Nixon', which is not in the text"),
        ("[0, 99]", "lies outside the text"),
    ],
)
def test_what_points_at_nothing_is_refused(value, message):
    with pytest.raises(InvalidPost, match=message) as error:
        TEXT.entity(value, "head")
    assert error.value.field == "head"
    with pytest.raises(InvalidPost) as error:
        TEXT.entity(value, "entities[2]", "entities")
    assert error.value.field == "entities"


@pytest.mark.parametrize(
    ("post", "field"),
    [
        ({}, "text"),
        ({"text": 5}, "text"),
        ({"words": 5}, "words"),
        ({"words": "a b"}, "words"),
        ({"words": [1]}, "words"),
    ],
)
def test_texts_that_are_none_are_refused(post, field):
    with pytest.raises(InvalidPost) as error:
        PostText(post, "row")
    assert error.value.field == field


def test_names_of_types():
    assert [type_of(label) for label in ("B-PER", "Person", "GPE", "I-ORG", "work_of_art", "DATE", None)] == [
        *("per", "per", "loc", "org", "misc", "date"),
        None,
    ]

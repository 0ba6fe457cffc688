import re

import numpy as np
import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.processing.head_and_tail import head_tail_pairs, text_and_spans
from tgdi_hf.processing.post_text import Entity, PostText

FAMILY = "👩\u200d👩\u200d👧"


@pytest.mark.parametrize(
    ("text", "mention", "message"),
    [
        ("JFK", "Obama", "^row 1: `head` is 'Obama', which is not in the text: 'JFK'.$"),
        ("jfk", "JFK", "The text has 'jfk' at [0, 3), which differs in case."),
        ("José", "Jose", "The text has 'José' at [0, 4), which differs in accents"),
        (
            "a b a",
            "a",
            "one of the spans [0, 1), [4, 5); or use the first or all of them: `ambiguous='first'`",
        ),
        ("Annual Annotated", "Ann", "one of the spans [0, 3), [7, 10)"),
        ("Bora Bora Bora", "Bora Bora", "one of the spans [0, 9), [5, 14)"),
        ("习近平访问，习近平讲话", "习近平", "one of the spans [0, 3), [6, 9)"),
        ("오바마는 오바마", "오바마", "one of the spans [0, 3), [5, 8)"),
        (
            "a " * 20,
            "a",
            "one of the spans [0, 1), [2, 3), [4, 5), [6, 7), [8, 9), [10, 11), [12, 13), [14, 15), …;",
        ),
    ],
)
def test_missing_and_ambiguous_mentions_are_rejected(text, mention, message):
    with pytest.raises(InvalidPost, match=message if message.startswith("^") else re.escape(message)):
        PostText({"text": text}, "row 1").entity(mention, "head")


@pytest.mark.parametrize(
    "nothing", ["", "  ", "\n", "\u200b\u200d\ufeff", "\ufffc", "\ufe0f", "\u200e\u202c", "\u0301"]
)
def test_entities_without_a_visible_character_are_rejected(nothing):
    text = PostText({"text": f"Ann {nothing} Bob"}, "row 1")
    for value in (nothing, {"text": nothing, "type": "PER"}):
        with pytest.raises(InvalidPost, match="^row 1: `head` is '.*', without a visible character"):
            text.entity(value, "head")
    if nothing:
        span = [3, 3 + len(nothing)] if nothing != "\u0301" else [3, 5]
        for value in (span, {"start": span[0], "end": span[1]}, str(span)):
            with pytest.raises(InvalidPost, match="^row 1: the span of `head`, .* has no visible character"):
                text.entity(value, "head")
    words = PostText({"words": ["Ann", nothing, "Bob"]}, "row 1")
    with pytest.raises(InvalidPost, match=r"^row 1: the span of `head`, \[1, 2\), has no visible character"):
        words.entity([1, 2], "head")
    with pytest.raises(InvalidPost, match="the post has no text"):
        PostText({"text": nothing}, "row 1")


@pytest.mark.parametrize(
    ("text", "span", "nearest"),
    [
        ("Jose\u0301 won", [0, 4], "[0, 5), 'Jose\u0301'"),
        ("Jose\u0301 won", [4, 9], "[3, 9), 'e\u0301 won'"),
        (f"a {FAMILY} b", [2, 3], f"[2, 7), {FAMILY!r}"),
        (f"a {FAMILY} b", [4, 7], f"[2, 7), {FAMILY!r}"),
        ("🇫🇷🇩🇪", [1, 3], "[0, 4), '🇫🇷🇩🇪'"),
        ("👍🏽", [0, 1], "[0, 2), '👍🏽'"),
        ("नमस्ते", [0, 3], "[0, 6), 'नमस्ते'"),
        ("กำ", [0, 1], "[0, 2), 'กำ'"),
        ("Jose\u0301 won", {"start": 0, "end": 4, "text": "José"}, "[0, 5), 'Jose\u0301'"),
    ],
)
def test_spans_that_cut_a_character_are_rejected_with_the_nearest_whole_span(text, span, nearest):
    with pytest.raises(InvalidPost) as error:
        PostText({"text": text}, "row 1").entity(span, "head")
    assert "which cuts a character in two" in str(error.value)
    assert f"the nearest whole span is {nearest}." in str(error.value)


@pytest.mark.parametrize("before", ["", " ", "\n", "\u200b ", "\ufeff"])
@pytest.mark.parametrize("after", ["", " ", "\xa0", "\u200b", "\u200d", "\u202c\n"])
def test_white_space_around_an_entity_is_trimmed(before, after):
    given = f"{before}Acme{after}"
    text = PostText({"text": f"x {given} y"}, "row 1")
    span = 2, 2 + len(given)
    expected = (2 + len(before), 6 + len(before))
    for value in (given, span, {"start": span[0], "end": span[1], "word": given}, {"text": given}):
        assert text.entity(value, "head") == Entity(expected, expected)
    # For words, the span covers whole words and the text only visible characters.
    words = PostText({"words": ["x", "", given, "y"]}, "row 1")
    start = 3 + len(before)
    assert words.entity([2, 3], "head") == Entity((start, start + 4), (2, 3))
    assert words.entity([1, 3], "head") == Entity((start, start + 4), (1, 3))


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
        # GLiNER, spaCy
        (
            {"start": 0, "end": 3, "text": "JFK", "label": "person", "score": 0.99},
            Entity((0, 3), (0, 3), "person"),
        ),
        ({"start": 17, "end": 24, "label": "ORG"}, Entity((17, 24), (17, 24), "ORG")),
        ({"start": 17, "end": 24, "word": "har ##vard", "entity": "B-ORG"}, Entity((17, 24), (17, 24), "B-ORG")),
        ({"start": np.int64(8), "end": np.int64(13), "word": "▁Obama"}, Entity((8, 13), (8, 13))),
        ({"start": 7, "end": 13, "word": " Obama"}, Entity((8, 13), (8, 13))),
    ],
)
def test_all_ways_to_specify_an_entity(value, entity):
    assert TEXT.entity(value, "head") == entity


def test_entities_in_words_have_character_spans():
    text = PostText({"words": np.array(["JFK", "and", "Barack", "Obama"])}, "row")
    assert text.entity((2, 4), "head") == Entity((8, 20), (2, 4))
    assert text.entity("Obama", "head") == Entity((15, 20), (3, 4))


def test_token_classifiers_count_characters_of_posts_in_words_too():
    text = PostText({"words": ["JFK", "and", "José", "Obama", "at", "Harvard"]}, "row 1")
    jose = Entity((8, 18), (2, 4), "PER")
    mapping = {"entity_group": "PER", "word": "jose obama", "start": 8, "end": 18}
    assert text.entity(mapping, "head") == text.entity({**mapping, "start": 2, "end": 4}, "head") == jose
    assert text.entity({"start": 0, "end": 3, "word": "JFK"}, "head") == Entity((0, 3), (0, 1))
    assert text.entity({"start": 0, "end": 3}, "head") == Entity((0, 12), (0, 3))
    message = r"`head` is 'Obama' from 0 to 3, but that span is 'JFK and José' in words and 'JFK' in characters"
    with pytest.raises(InvalidPost, match=message):
        text.entity({"start": 0, "end": 3, "word": "Obama"}, "head")
    with pytest.raises(InvalidPost, match="expected a span"):
        text.entity({"start": "0", "end": "3", "word": "JFK"}, "head")
    with pytest.raises(InvalidPost, match=r"Pass one of the spans \[0, 1\), \[2, 3\)"):  # of words
        PostText({"words": ["JFK", "and", "JFK"]}, "row 1").entity("JFK", "head")


@pytest.mark.parametrize(
    ("text", "value", "message"),
    [
        (
            "🎉 Ann joins Acme",
            {"start": 3, "end": 6, "text": "Ann"},
            "`head` is 'Ann' from 3 to 6, but that span is 'nn ' in characters. The offsets fit in UTF-16 units, as "
            "JavaScript and Java count; in characters (code points) the span is [2, 5).",
        ),
        ("🎉 Ann", {"start": 5, "end": 8, "text": "Ann"}, "The offsets fit in UTF-8 bytes, as Rust and Go count; in"),
        (
            "🎉🎉",
            {"start": 2, "end": 4, "text": "🎉"},
            "span is outside the text. The offsets fit in UTF-16 units",
        ),
        ("🎉🎉 Ann", {"start": 5, "end": 8, "word": "ann"}, "characters (code points) the span is [3, 6)."),
        ("🎉 Ann", {"start": 9, "end": 12, "text": "Ann"}, "the span of `head`, [9, 12), lies outside the text"),
        (
            "Ann and Bob",
            {"start": 0, "end": 3, "text": "Bob"},
            "span is 'Ann' in characters. 'Bob' is at [8, 11).",
        ),
        ("Ann and Bob", {"start": 1, "end": 4, "word": "Ann"}, "that span is 'nn ' in characters. 'Ann' is at [0, 3)."),
        ("Ann and Bob", {"start": 0, "end": 3, "text": "Eve"}, "Correct one of the two, or remove it."),
        ("in C++ he", {"start": 3, "end": 4, "text": "C++"}, "that span is 'C' in characters. 'C++' is at [3, 6)."),
        ("Ann and Bob", {"start": -3, "end": 11, "text": "Bob"}, "lies outside the text"),
        ("Ann and Bob", {"start": 0, "end": 3, "text": " "}, "`head` is ' ' from 0 to 3, but that span is 'Ann'"),
    ],
)
def test_a_span_must_agree_with_its_mention(text, value, message):
    with pytest.raises(InvalidPost, match=re.escape(message)) as error:
        PostText({"text": text}, "row 1").entity(value, "head")
    assert error.value.field == "head"


BOTH = {
    "text": "Ann, José & Bob met at A.C.M.E.",
    "words": ["Ann", ",", "José", "&", "Bob", "met", "at", "A.C.M.E", "."],
}
JOINED = "Ann , José & Bob met at A.C.M.E ."


@pytest.mark.parametrize(
    ("value", "units"),
    [
        ([8, 9], "[8, 9), is '.' in words and 'é' in characters of `text`"),
        ([2, 3], "[2, 3), is 'José' in words and 'n' in characters of `text`"),
        ([0, 3], "[0, 3), is 'Ann , José' in words and 'Ann' in characters of `text`. Remove `text` or `words`"),
        ("[0, 3]", "is 'Ann , José' in words"),
        ({"start": 0, "end": 3, "type": "PER"}, "is 'Ann , José' in words"),
        ([5, 9], "is 'met at A.C.M.E .' in words and 'José' in characters"),
        ([12, 15], (4, 5)),  # outside the list of words
        ([23, 31], (7, 9)),
        ({"start": 0, "end": 3, "text": "Ann"}, (0, 1)),
        ({"start": 0, "end": 1, "text": "Ann"}, (0, 1)),
        ({"start": 4, "end": 5, "word": "bob"}, (4, 5)),
        ({"start": 12, "end": 15, "word": "Bob"}, (4, 5)),
        ({"start": 13, "end": 16, "word": "Bob"}, (4, 5)),  # in the joined words
        ("Bob", (4, 5)),
        ("Ann,", (0, 2)),  # as spelled in the text
        ("A.C.M.E.", (7, 9)),
        ("Eve", "which is not in the text"),
        ([4, 5], (4, 5)),  # a space in the text
        ([200, 201], "lies outside the text"),
    ],
)
def test_a_post_with_text_and_words_is_never_misread(value, units):
    text = PostText(BOTH, "row 1")
    assert (text.text, text.units) == (JOINED, BOTH["words"])
    if isinstance(units, str):
        with pytest.raises(InvalidPost, match=re.escape(units)):
            text.entity(value, "head")
        return
    entity = text.entity(value, "head")
    assert entity.units == units
    assert JOINED[slice(*entity.span)] == " ".join(BOTH["words"][slice(*units)])


def test_a_span_with_the_same_reading_in_words_and_characters():
    assert PostText({"text": "a b", "words": ["a", "b"]}, "row").entity([0, 1], "head") == Entity((0, 1), (0, 1))


def test_a_span_that_agrees_with_its_mention_at_two_places_is_rejected():
    post = {"words": ["x", "y", "y", "x", "a"], "text": "x y y x a"}
    with pytest.raises(InvalidPost, match=re.escape("these are the words [1, 2) and [2, 3). Pass one")):
        PostText(post, "row 1").entity({"start": 2, "end": 3, "text": "y"}, "head")


def test_a_reading_that_cuts_a_character_does_not_hide_one_that_does_not():
    text = PostText({"words": ["e\u0301", "e\u0301"]}, "row 1")
    assert text.entity({"start": 0, "end": 1, "text": "é"}, "head").units == (0, 1)
    with pytest.raises(InvalidPost, match=r"nearest whole span is \[0, 2\)"):
        PostText({"text": "e\u0301 x"}, "row 1").entity({"start": 0, "end": 1, "text": "é"}, "head")


@pytest.mark.parametrize("text", ["Ann met Bob", "Ann and Bob and", "1"])
def test_text_and_words_that_differ_are_rejected(text):
    with pytest.raises(InvalidPost, match="row 1: `text` is .* whose letters differ; remove the one") as error:
        PostText({"text": text, "words": ["Ann", "and", "Bob"]}, "row 1")
    assert error.value.field == "words"


@pytest.mark.parametrize("text", [None, "", " ", float("nan")])
def test_an_empty_cell_beside_words_is_no_text(text):
    assert PostText({"text": text, "words": ["Ann", "and"]}, "row").entity([0, 1], "head") == Entity((0, 3), (0, 1))


def test_all_or_the_first_of_several_occurrences():
    post = {"text": "Ann, Bob, Ann and Annual Bob"}
    assert PostText(post, "row", "first").entities("Ann", "head") == [Entity((0, 3), (0, 3))]
    every = PostText(post, "row", "all")
    assert every.entities({"word": "Ann", "entity": "PER"}, "head") == [
        Entity((0, 3), (0, 3), "PER"),
        Entity((10, 13), (10, 13), "PER"),
    ]
    assert every.entities([0, 3], "head") == [Entity((0, 3), (0, 3))]
    spans = [(head.span, tail.span) for head, tail in head_tail_pairs(every, "Ann", "Bob")]
    assert spans == [((0, 3), (5, 8)), ((0, 3), (25, 28)), ((10, 13), (5, 8)), ((10, 13), (25, 28))]
    # Head and tail at the same span form a pair only if it is the only one.
    spans = [(head.span, tail.span) for head, tail in head_tail_pairs(every, "Ann", "Ann")]
    assert spans == [((0, 3), (10, 13)), ((10, 13), (0, 3))]
    assert len(head_tail_pairs(every, "Annual", "Annual")) == 1
    words = PostText({"words": ["Ann", "met", "Ann"]}, "row", "all")
    assert [entity.units for entity in words.entities("Ann", "head")] == [(0, 1), (2, 3)]
    with pytest.raises(InvalidPost, match="at 5 places in the text; expected up to 4. Pass the spans") as error:
        head_tail_pairs(PostText({"text": "a a a b b"}, "row", "all"), "a", "b", most=4)
    assert error.value.field == "head"
    assert text_and_spans({**post, "head": "Bob", "tail": "Ann"}, "row", "first")[1] == ((5, 8), (0, 3))
    with pytest.raises(ValueError, match="`ambiguous` is 'last'; expected 'error' or 'first' or 'all'"):
        PostText(post, "row", "last")


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
def test_values_that_specify_no_entity_are_rejected(value, message):
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
def test_invalid_texts_are_rejected(post, field):
    with pytest.raises(InvalidPost) as error:
        PostText(post, "row")
    assert error.value.field == field

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tgdi_hf.processing.entity_markers import (
    ENTITY_MARKERS,
    check_span,
    cut_at_markers,
    truncate_around_entities,
    words_to_text,
)
from tgdi_hf.processing.invalid_post import InvalidPost


def marked(text, head, tail):
    segments, markers = cut_at_markers(text, head, tail)
    return "".join(segment + marker for segment, marker in zip(segments, [*markers, ""]))


@pytest.mark.parametrize(
    ("head", "tail", "expected"),
    [
        ((0, 1), (2, 3), "<head>a</head>b<tail>c</tail>d"),
        ((2, 3), (0, 1), "<tail>a</tail>b<head>c</head>d"),
        ((0, 2), (2, 4), "<head>ab</head><tail>cd</tail>"),  # adjacent: the head ends where the tail begins
        ((2, 4), (0, 2), "<tail>ab</tail><head>cd</head>"),
        ((0, 4), (1, 2), "<head>a<tail>b</tail>cd</head>"),  # nested
        ((1, 2), (0, 4), "<tail>a<head>b</head>cd</tail>"),
        ((0, 4), (0, 2), "<head><tail>ab</tail>cd</head>"),  # same start
        ((0, 2), (0, 4), "<tail><head>ab</head>cd</tail>"),
        ((0, 4), (2, 4), "<head>ab<tail>cd</tail></head>"),  # same end
        ((2, 4), (0, 4), "<tail>ab<head>cd</head></tail>"),
        ((1, 3), (1, 3), "a<head><tail>bc</tail></head>d"),  # identical
        ((0, 3), (1, 4), "<head>a<tail>bc</head>d</tail>"),  # crossing
        ((1, 4), (0, 3), "<tail>a<head>bc</tail>d</head>"),
        ((2, 2), (0, 2), "<tail>ab</tail><head></head>cd"),  # empty words make empty entities
        ((2, 2), (2, 4), "ab<tail><head></head>cd</tail>"),
        ((2, 2), (2, 2), "ab<head></head><tail></tail>cd"),
    ],
)
def test_nested_entities_get_nested_markers(head, tail, expected):
    assert marked("abcd", head, tail) == expected


def test_a_space_before_a_marker_moves_to_the_following_word():
    assert marked("JFK and  Obama", (0, 3), (9, 14)) == "<head>JFK</head> and <tail> Obama</tail>"
    assert marked("JFK Obama ", (0, 4), (4, 10)) == "<head>JFK</head><tail> Obama</tail> "


@st.composite
def texts_with_spans(draw):
    text = draw(st.text(st.characters(codec="utf-8") | st.just(" "), min_size=1, max_size=40))
    spans = []
    for _ in range(2):
        start = draw(st.integers(0, len(text) - 1))
        spans.append((start, draw(st.integers(start + 1, len(text)))))
    return text, *spans


@given(texts_with_spans())
def test_segments_concatenate_to_the_text_and_enclose_the_entities(case):
    text, head, tail = case
    segments, markers = cut_at_markers(text, head, tail)
    assert "".join(segments) == text
    assert sorted(markers) == sorted(ENTITY_MARKERS)
    for name, (start, end) in (("head", head), ("tail", tail)):
        first, last = markers.index(f"<{name}>"), markers.index(f"</{name}>")
        assert "".join(segments[first + 1 : last + 1]).strip(" ") == text[start:end].strip(" ")


@given(texts_with_spans())
def test_markers_overlap_only_if_the_entities_overlap(case):
    _, head, tail = case
    _, markers = cut_at_markers(*case)
    open_entities = []
    crossed = False
    for marker in markers:
        name = marker.strip("</>")
        if marker.startswith("</"):
            crossed |= open_entities[-1] != name
            open_entities.remove(name)
        else:
            open_entities.append(name)
    (a, b), (c, d) = sorted([head, tail])
    assert crossed == (a < c < b < d)


@given(st.lists(st.text(max_size=6), min_size=1, max_size=12), st.data())
def test_word_spans_are_converted_to_character_spans(words, data):
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    text, ((first, last),) = words_to_text(words, [(start, end)])
    assert text == " ".join(words)
    assert text[first:last] == " ".join(words[start:end])


@given(st.data())
def test_truncation_keeps_the_markers_and_the_token_order(data):
    length = data.draw(st.integers(4, 80))
    places = data.draw(st.lists(st.integers(0, length - 1), min_size=4, max_size=4, unique=True))
    entities = [sorted(places[:2]), sorted(places[2:])]
    budget = data.draw(st.integers(4, 90))
    kept = truncate_around_entities(list(range(length)), entities, budget)
    assert len(kept) == min(length, budget)
    assert kept == sorted(kept)
    assert set(places) <= set(kept)
    if max(places) - min(places) < budget:
        assert kept == list(range(kept[0], kept[-1] + 1))  # one contiguous window
    inside = {i for start, end in entities for i in range(start, end + 1)}
    if len(inside) <= budget:
        assert inside <= set(kept)  # context is dropped before any entity token


@pytest.mark.parametrize(
    ("entities", "budget", "expected"),
    [
        ([(50, 51), (52, 55)], 10, [*range(48, 58)]),  # the same amount of context on both sides
        ([(0, 1), (2, 5)], 10, [*range(10)]),
        ([(94, 95), (98, 99)], 10, [*range(90, 100)]),
        ([(10, 12), (80, 82)], 10, [*range(9, 14), *range(79, 84)]),  # a window around each entity
        ([(80, 82), (10, 12)], 10, [*range(9, 14), *range(79, 84)]),
        ([(10, 60), (20, 22)], 8, [10, 11, 19, 20, 21, 22, 23, 60]),  # an entity longer than the budget
    ],
)
def test_truncation_keeps_the_context_of_the_entities(entities, budget, expected):
    assert truncate_around_entities(list(range(100)), entities, budget) == expected


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((3, 3), r"row 7: the span of `head`, \[3, 3\), is empty"),
        ((4, 2), "is reversed"),
        ((2, 6), "lies outside the text.*≤ 5, the number of words"),
        ((-1, 2), "lies outside the text"),
        ((0.0, 2), r"`head` is \(0.0, 2\); expected a span.*two integers"),
        (("0", "2"), "two integers"),
        ((1,), "two integers"),
        (None, "two integers"),
        (3, "two integers"),
    ],
)
def test_invalid_spans_are_rejected(span, message):
    with pytest.raises(ValueError, match=message):
        check_span(span, ["a", "b", "c", "d", "e"], "head", "row 7")


def test_spans_of_numpy_integers_are_accepted():
    assert check_span(torch.tensor([1, 3]), ["a", "b", "c"], "head", "row 0") == (1, 3)


@pytest.mark.parametrize(
    ("span", "units", "expected"),
    [
        ((0, 6), " Acme ", (1, 5)),
        ((1, 5), " Acme ", (1, 5)),
        ((0, 7), "\u200bAcme\ufeff\n", (1, 5)),
        ((0, 5), "Jose\u0301", (0, 5)),
        ((1, 3), "❤\ufe0f Bob", r"\[1, 3\), has no visible character, only '.ufe0f '"),
        ((1, 6), "❤\ufe0f Bob", (3, 6)),  # a variation selector is invisible and may be trimmed
        ((0, 1), " a", r"\[0, 1\), has no visible character, only ' '"),
        ((0, 1), "❤\ufe0f", "cuts a character in two; the nearest whole span is"),
        ((4, 9), "Jose\u0301 won", "cuts a character in two"),  # the accent is not trimmed
        ((0, 2), ["", "a"], (0, 2)),
        ((0, 1), [" a ", "b"], (0, 1)),
        ((0, 1), [" ", "b"], "has no visible character"),
        ((1, 3), ["a", "\u200b", ""], "has no visible character"),
    ],
)
def test_spans_are_trimmed_to_visible_characters(span, units, expected):
    if isinstance(expected, tuple):
        assert check_span(span, units, "head", "row 7") == expected
        return
    with pytest.raises(InvalidPost, match=f"^row 7: the span of `head`, .*{expected}") as error:
        check_span(span, units, "head", "row 7")
    assert error.value.field == "head"

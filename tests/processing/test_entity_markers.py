import pytest
from hypothesis import given
from hypothesis import strategies as st

from tgdi_hf.processing.entity_markers import ENTITY_MARKERS, check_span, fit, split_at_markers, words_to_text


def marked(text, head, tail):
    return "".join(piece for piece, _ in split_at_markers(text, head, tail))


@pytest.mark.parametrize(
    ("head", "tail", "expected"),
    [
        ((0, 1), (2, 3), "<head>a</head>b<tail>c</tail>d"),
        ((2, 3), (0, 1), "<tail>a</tail>b<head>c</head>d"),
        ((0, 2), (2, 4), "<head>ab</head><tail>cd</tail>"),  # neighbours: one ends before the other begins
        ((0, 4), (1, 2), "<head>a<tail>b</tail>cd</head>"),  # nested
        ((1, 2), (0, 4), "<tail>a<head>b</head>cd</tail>"),
        ((0, 4), (0, 2), "<head><tail>ab</tail>cd</head>"),  # same start
        ((0, 2), (0, 4), "<tail><head>ab</head>cd</tail>"),
        ((0, 4), (2, 4), "<head>ab<tail>cd</tail></head>"),  # same end
        ((2, 4), (0, 4), "<tail>ab<head>cd</head></tail>"),
        ((1, 3), (1, 3), "a<head><tail>bc</tail></head>d"),  # identical
        ((0, 3), (1, 4), "<head>a<tail>bc</head>d</tail>"),  # crossing
        ((1, 4), (0, 3), "<tail>a<head>bc</tail>d</head>"),
    ],
)
def test_markers_nest_where_entities_do(head, tail, expected):
    assert marked("abcd", head, tail) == expected


@st.composite
def texts_with_spans(draw):
    text = draw(st.text(min_size=1, max_size=30))
    spans = []
    for _ in range(2):
        start = draw(st.integers(0, len(text) - 1))
        spans.append((start, draw(st.integers(start + 1, len(text)))))
    return text, *spans


@given(texts_with_spans())
def test_pieces_are_the_text_and_enclose_the_entities(case):
    text, head, tail = case
    pieces = split_at_markers(text, head, tail)
    assert "".join(piece for piece, is_marker in pieces if not is_marker) == text
    assert all(piece for piece, _ in pieces)
    assert sorted(piece for piece, is_marker in pieces if is_marker) == sorted(ENTITY_MARKERS)
    for name, (start, end) in (("head", head), ("tail", tail)):
        first, last = (pieces.index((marker, True)) for marker in (f"<{name}>", f"</{name}>"))
        between = "".join(piece for piece, is_marker in pieces[first:last] if not is_marker)
        assert between == text[start:end]


@given(st.lists(st.text(max_size=6), min_size=1, max_size=12), st.data())
def test_spans_of_words_become_spans_of_characters(words, data):
    start = data.draw(st.integers(0, len(words) - 1))
    end = data.draw(st.integers(start + 1, len(words)))
    text, ((first, last),) = words_to_text(words, [(start, end)])
    assert text == " ".join(words)
    assert text[first:last] == " ".join(words[start:end])


@given(st.data())
def test_a_text_cut_short_keeps_its_markers_and_its_order(data):
    length = data.draw(st.integers(4, 80))
    markers = sorted(data.draw(st.lists(st.integers(0, length - 1), min_size=4, max_size=4, unique=True)))
    budget = data.draw(st.integers(4, 90))
    kept = fit(list(range(length)), markers, budget)
    assert len(kept) == min(length, budget)
    assert kept == sorted(kept)
    assert set(markers) <= set(kept)
    if markers[-1] - markers[0] < budget:
        assert kept == list(range(kept[0], kept[-1] + 1))  # a window: nothing missing inside


def test_far_entities_keep_both_neighbourhoods():
    kept = fit(list(range(100)), [10, 12, 80, 82], budget=12)
    assert kept == [8, 9, 10, 11, 12, 13, 14, 79, 80, 81, 82, 83] or (
        set(kept) >= {9, 10, 11, 12, 13, 79, 80, 81, 82, 83}
    )
    assert len(kept) == 12


def test_near_entities_keep_a_window_with_even_context():
    assert fit(list(range(100)), [50, 51, 52, 55], budget=10) == list(range(48, 58))
    assert fit(list(range(100)), [0, 1, 2, 5], budget=10) == list(range(10))
    assert fit(list(range(100)), [94, 95, 98, 99], budget=10) == list(range(90, 100))


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((3, 3), r"row 7: the span of `head`, \[3, 3\), is empty"),
        ((4, 2), "is reversed"),
        ((2, 6), "lies outside the text.*≤ 5, the number of words"),
        ((-1, 2), "lies outside the text"),
        ((0.0, 2), "two integers"),
        ((1,), "two integers"),
        (None, "two integers"),
    ],
)
def test_spans_that_can_not_be_are_refused(span, message):
    with pytest.raises(ValueError, match=message):
        check_span(span, 5, "head", "words", "row 7")

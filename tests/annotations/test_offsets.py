import pytest

from tgdi_hf.annotations.document import Unusable
from tgdi_hf.annotations.formats import Unit
from tgdi_hf.annotations.offsets import Offsets

# 😀: 1 code point, 2 UTF-16 units, 4 bytes. 👩‍🚀: 3 code points, 5 units, 11 bytes. é: 2 bytes. Each is one grapheme.
TEXT = "😀 é 👩‍🚀 Ann Lee"
ANN = (8, 11)
SPANS = {Unit.code_points: (8, 11), Unit.utf_16: (11, 14), Unit.bytes: (20, 23), Unit.graphemes: (6, 9)}


@pytest.mark.parametrize("unit", Unit)
def test_every_unit_is_converted_to_characters(unit):
    assert TEXT[slice(*ANN)] == "Ann"
    assert Offsets(TEXT, unit, is_certain=True).locate(*SPANS[unit]) == ANN
    assert Offsets(TEXT, unit).locate(*SPANS[unit]) == ANN


@pytest.mark.parametrize("unit", Unit)
def test_the_mention_tells_the_unit(unit):
    assert Offsets(TEXT, Unit.code_points).locate(*SPANS[unit], mention="Ann") == ANN


def test_the_unit_of_the_tool_comes_first():
    # "a" is at 2 in code points and at 3 in UTF-16 units, where another "a" is in code points.
    assert Offsets("😀 aaa", Unit.code_points).locate(3, 4, mention="a") == (3, 4)
    assert Offsets("😀 aaa", Unit.utf_16).locate(3, 4, mention="a") == (2, 3)


@pytest.mark.parametrize(
    ("unit", "span", "mention", "message"),
    [
        (Unit.code_points, (3, 3), None, r"the span is \[3, 3\); expected 0 ≤ start < end"),
        (Unit.code_points, (-1, 3), None, "expected 0 ≤ start < end"),
        (Unit.code_points, (8, 99), None, "lies outside the text, which has 15 code-points"),
        (Unit.utf_16, (1, 4), None, "or cuts a character"),
        (Unit.code_points, (15, 18), None, "It fits if offsets count utf-16: --offsets utf-16"),
        (Unit.code_points, (8, 11), "Bob", "is 'Bob' in the export, but in the text it is 'Ann'"),
        (Unit.code_points, (88, 91), "Bob", "but in the text it is outside the text"),
        (Unit.code_points, (11, 14), None, "is ' Le' in code-points, which cuts a word, and 'Ann' in utf-16"),
    ],
)
def test_spans_that_cannot_be_right(unit, span, mention, message):
    with pytest.raises(Unusable, match=message):
        Offsets(TEXT, unit).locate(*span, mention=mention)


def test_a_chosen_unit_is_not_questioned():
    assert Offsets(TEXT, Unit.code_points, is_certain=True).locate(11, 14) == (11, 14)
    with pytest.raises(Unusable, match="whatever unit"):
        Offsets(TEXT, Unit.code_points, is_certain=True).locate(11, 14, mention="Ann")

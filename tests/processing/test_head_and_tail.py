import pytest

from tgdi_hf.processing.head_and_tail import head_tail_pairs, text_and_spans
from tgdi_hf.processing.post_text import PostText


@pytest.mark.parametrize(
    ("head", "tail", "expected"),
    [("Ann", "Ann", [(0, 3), (8, 11)]), ([0, 3], "Ann", [(0, 3), (8, 11)]), ("Ann", [0, 3], [(8, 11), (0, 3)]),
     ("Ann", [8, 11], [(0, 3), (8, 11)]), ("Ann", "Bob", [(0, 3), (4, 7)]), ([0, 3], [0, 3], [(0, 3), (0, 3)])],
)  # fmt: skip
def test_the_first_occurrence_differs_from_the_other_entity(head, tail, expected):
    row = {"text": "Ann Bob Ann", "head": head, "tail": tail}
    assert list(text_and_spans(row, "post 0", "first")[1]) == expected
    (pair,) = head_tail_pairs(PostText(row, "post 0", "first"), head, tail)
    assert [entity.span for entity in pair] == expected


def test_entities_of_posts_given_in_words():
    row = {"words": ["JFK", "and", "", "Barack", "Obama"], "head": "Barack Obama", "tail": [0, 1]}
    text, in_characters, in_words = text_and_spans(row, "row")
    assert text[slice(*in_characters[0])] == "Barack Obama"
    assert in_words == ((3, 5), (0, 1))
    # A mention inside a word selects the whole word.
    assert text_and_spans({**row, "head": "Bara"}, "row")[2][0] == (3, 4)


def test_a_post_without_text_is_rejected():
    for row in ({"head": [0, 1]}, {"text": " ", "head": [0, 1]}, {"text": None}, {"words": []}):
        with pytest.raises(ValueError, match="row 1: the post has no text"):
            text_and_spans(row, "row 1")

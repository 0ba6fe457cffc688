import numpy as np
import pytest

from tgdi_hf.processing.invalid_post import InvalidPost
from tgdi_hf.processing.text_rows import caption_room, check_caption, mark_entities, pad, with_caption
from tgdi_hf.processing.text_tokenizer import Frame

FRAME = Frame(prefix=[1], suffix=[2], middle=[2], end=[2], second_type=1)


@pytest.mark.parametrize(
    ("text", "head", "tail"), [("Ann meets Bob", (0, 3), (10, 13)), (["Ann", "meets", "Bob"], (0, 1), (2, 3))]
)
def test_texts_and_lists_of_words_are_cut_at_the_same_markers(text, head, tail):
    segments, markers = mark_entities(text, head, tail, "row 0")
    assert [segment.strip() for segment in segments] == ["", "Ann", "meets", "Bob", ""]
    assert list(markers) == ["<head>", "</head>", "<tail>", "</tail>"]


@pytest.mark.parametrize(
    ("text", "message"), [(5, "expected a string or a list"), ("Ann \ud83d Bob", "lone surrogate")]
)
def test_invalid_texts_are_rejected(text, message):
    with pytest.raises(InvalidPost, match=f"row 7.*{message}") as raised:
        mark_entities(text, (0, 3), (6, 9), "row 7")
    assert raised.value.field == "text"


def test_missing_and_blank_captions_are_empty():
    assert [check_caption(caption, "row 0") for caption in (None, " \n", "two men")] == ["", "", "two men"]
    with pytest.raises(InvalidPost, match="row 7: `caption` is 5") as raised:
        check_caption(5, "row 7")
    assert raised.value.field == "caption"


@pytest.mark.parametrize(
    ("limit", "room", "expected"),
    [(9, 3, [1, 5, 6, 2, 2, 7, 8, 2]), (7, 1, [1, 5, 6, 2, 2, 7, 2]), (6, 0, [1, 5, 6, 2]), (4, 0, [1, 5, 6, 2])],
)
def test_the_end_of_a_caption_is_cut_to_the_limit(limit, room, expected):
    assert caption_room([1, 5, 6, 2], FRAME, limit) == room
    assert with_caption([1, 5, 6, 2], [7, 8], FRAME, limit) == expected


def test_rows_are_padded_on_the_right():
    padded = pad([[1, 5, 2], [1, 2]], padding=9, length=None)
    assert padded.input_ids.tolist() == [[1, 5, 2], [1, 2, 9]]
    assert padded.attention_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert not padded.token_type_ids.any()
    assert pad([[1, 2]], padding=9, length=4).input_ids.tolist() == [[1, 2, 9, 9]]


def test_only_tokens_of_the_second_segment_have_its_id():
    padded = pad([[1, 5, 2, 7, 2], [1, 2, 7]], padding=0, length=None, first_lengths=[3, 2], second_type=1)
    assert np.array_equal(padded.token_type_ids, [[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]])

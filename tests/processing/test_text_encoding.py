import pytest

from tgdi_hf.processing.entity_markers import ENTITY_MARKERS
from tgdi_hf.processing.invalid_post import InvalidPost
from tgdi_hf.processing.text_encoding import TextRow, encode_texts
from tgdi_hf.processing.text_tokenizer import TextTokenizer

from .conftest import wordpiece

WITH_CAPTION = TextRow("a b c", (0, 1), (4, 5), "two men", "row 0")
WITHOUT_CAPTION = TextRow("a b", (2, 3), (0, 1), None, "row 1")


@pytest.fixture(scope="module")
def tokenizer():
    tokenizer = wordpiece()
    tokenizer.add_special_tokens({"extra_special_tokens": list(ENTITY_MARKERS)})
    return TextTokenizer(tokenizer)


def tokens(tokenizer, ids):
    return " ".join(tokenizer.source.convert_ids_to_tokens(ids.tolist()))


def test_texts_have_markers_and_enhanced_texts_the_caption(tokenizer):
    inputs, truncated = encode_texts([WITH_CAPTION, WITHOUT_CAPTION], tokenizer, limit=20)
    assert [tokens(tokenizer, ids) for ids in inputs["input_ids"]] == [
        "[CLS] <head> a </head> b <tail> c </tail> [SEP]",
        "[CLS] <tail> a </tail> <head> b </head> [SEP] [PAD]",
    ]
    assert [tokens(tokenizer, ids) for ids in inputs["enhanced_input_ids"]] == [
        "[CLS] <head> a </head> b <tail> c </tail> [SEP] two men [SEP]",
        "[CLS] <tail> a </tail> <head> b </head> [SEP] [PAD] [PAD] [PAD] [PAD]",
    ]
    assert inputs["enhanced_token_type_ids"].tolist() == [[0] * 9 + [1] * 3, [0] * 12]
    assert inputs["head_index"].tolist() == [1, 4]
    assert inputs["tail_index"].tolist() == [5, 1]
    assert truncated == [[], []]


@pytest.mark.parametrize(("rows", "use_caption"), [([WITHOUT_CAPTION], True), ([WITH_CAPTION], False)])
def test_without_captions_there_are_no_enhanced_texts(rows, use_caption, tokenizer):
    inputs, _ = encode_texts(rows, tokenizer, limit=20, use_caption=use_caption)
    assert not any(name.startswith("enhanced_") for name in inputs)


def test_the_caption_is_cut_before_the_text(tokenizer):
    inputs, truncated = encode_texts([WITH_CAPTION], tokenizer, limit=11)
    assert tokens(tokenizer, inputs["enhanced_input_ids"][0]).endswith("[SEP] two [SEP]")
    assert truncated == [["caption"]]
    inputs, truncated = encode_texts([WITH_CAPTION], tokenizer, limit=8)
    assert tokens(tokenizer, inputs["input_ids"][0]) == "[CLS] <head> a </head> <tail> c </tail> [SEP]"
    assert truncated == [["text", "caption"]]


def test_long_texts_are_rejected_without_truncation(tokenizer):
    with pytest.raises(InvalidPost, match="row 0: the text has 9 tokens with its markers, more than the limit of 8"):
        encode_texts([WITH_CAPTION], tokenizer, limit=8, truncation=False)


def test_rows_are_padded_to_a_given_length(tokenizer):
    inputs, _ = encode_texts([WITH_CAPTION], tokenizer, limit=20, length=16)
    assert {array.shape for name, array in inputs.items() if not name.endswith("_index")} == {(1, 16)}

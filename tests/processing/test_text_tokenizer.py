import copy
import json
import pickle
import unicodedata

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from tgdi_hf.processing.entity_markers import (
    ENTITY_MARKERS,
)
from tgdi_hf.processing.text_tokenizer import TextTokenizer

from .conftest import TOKENIZERS, build, byte_level


@pytest.fixture(params=TOKENIZERS)
def tokenizer(request):
    tokenizer = TOKENIZERS[request.param]()
    tokenizer.add_special_tokens({"extra_special_tokens": list(ENTITY_MARKERS)})
    return tokenizer


@pytest.mark.parametrize("text", ["JFK and Obama", "naïve 🎉 A&amp;M", " two  men ", "", "é مرحبا"])
def test_ordinary_text_is_tokenized_as_by_the_tokenizer(tokenizer, text):
    assert TextTokenizer(tokenizer)([text]) == [tokenizer(text, add_special_tokens=False)["input_ids"]]


@pytest.mark.parametrize(
    "literal", ["<head>", "</tail>", "[SEP]", "[CLS]", "<s>", "</s>", "<pad>", "[MASK]", "<unk>", "＜s＞", "<s></s>"]
)
def test_special_tokens_are_ordinary_text(tokenizer, literal):
    unknown = tokenizer.unk_token_id
    special = set(tokenizer.all_special_ids) - {unknown}
    for text in (literal, f"a {literal} b", f"a{literal}b"):
        (ids,) = TextTokenizer(tokenizer)([text])
        assert ids
        assert special.isdisjoint(ids)
        if tokenizer.is_fast and unknown not in ids:
            spelled = tokenizer.decode(ids).replace(" ", "")
            assert unicodedata.normalize("NFKC", spelled).lower() == (
                unicodedata.normalize("NFKC", text).replace(" ", "").lower()
            )


def test_added_tokens_that_are_not_special_keep_their_ids():
    tokenizer = byte_level()
    tokenizer.add_special_tokens({"extra_special_tokens": ["<first>", *ENTITY_MARKERS]})
    tokenizer.add_tokens(["@USER", AddedToken("HTTPURL", single_word=True)])
    texts = TextTokenizer(tokenizer)
    assert texts(["a@USER HTTPURL"]) == [tokenizer("a@USER HTTPURL", add_special_tokens=False)["input_ids"]]
    assert tokenizer.convert_tokens_to_ids("@USER") in texts(["a@USER"])[0]


def test_the_given_tokenizer_is_not_modified(tokenizer):
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.enable_truncation(5)
        tokenizer.backend_tokenizer.enable_padding(length=9)
        before = json.loads(tokenizer.backend_tokenizer.to_str())
    assert [len(ids) > 9 for ids in TextTokenizer(tokenizer)(["a b c d e f g h i j k l m n o p"])] == [True]
    if tokenizer.is_fast:
        assert json.loads(tokenizer.backend_tokenizer.to_str()) == before
        assert tokenizer.backend_tokenizer.encode_special_tokens is False


def test_vocabularies_that_merge_special_tokens():
    """Some converted SentencePiece models have merges that lead to "<s>"."""
    vocabulary = {piece: i for i, piece in enumerate(["<unk>", "<s>", "<", "s", ">", "s>", "a", *ENTITY_MARKERS])}
    tokenizer = Tokenizer(models.BPE(vocabulary, [("s", ">"), ("<", "s>")], unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", unk_token="<unk>")
    fast.add_special_tokens({"extra_special_tokens": list(ENTITY_MARKERS)})
    assert fast("<s>", add_special_tokens=False, split_special_tokens=True)["input_ids"] == [1]
    assert TextTokenizer(fast)(["<s> a ? <head>"])[0][:4] == [2, 5, 6, 0]


def test_copies_and_pickles_give_the_same_tokens(tokenizer):
    texts = TextTokenizer(tokenizer)
    expected = texts(["JFK <s> and"])
    assert copy.deepcopy(texts)(["JFK <s> and"]) == expected
    assert pickle.loads(pickle.dumps(texts))(["JFK <s> and"]) == expected


@pytest.mark.parametrize(
    ("kind", "frame"),
    [
        ("wordpiece", ("[CLS]", "[SEP]", "", "[SEP]", 1)),
        ("byte_level", ("<s>", "</s>", "</s>", "</s>", 0)),
        ("sentence_piece", ("<s>", "</s>", "</s>", "</s>", 0)),
        ("plain_python", ("<s>", "</s>", "</s>", "</s>", 0)),
    ],
)
def test_the_frame_is_that_of_the_tokenizer(kind, frame):
    tokenizer = TOKENIZERS[kind]()
    tokenizer.add_special_tokens({"extra_special_tokens": list(ENTITY_MARKERS)})
    found = TextTokenizer(tokenizer).frame
    parts = (found.prefix, found.suffix, found.middle, found.end)
    assert (*("".join(tokenizer.convert_ids_to_tokens(part)) for part in parts), found.second_type) == frame
    second = tokenizer("a", "b")["input_ids"]
    a, b = TextTokenizer(tokenizer)(["a", "b"])
    assert [*found.prefix, *a, *found.suffix, *found.middle, *b, *found.end] == second


def test_segment_ids_are_zero_for_models_without_segments():
    tokenizer = TOKENIZERS["wordpiece"]()  # DistilBERT's tokenizer has BERT's template and no segments
    tokenizer.add_special_tokens({"extra_special_tokens": list(ENTITY_MARKERS)})
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    assert TextTokenizer(tokenizer).frame.second_type == 0


def test_unsupported_templates_are_rejected():
    tokenizer = byte_level()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(  # as in XLNet
        single="$A </s>", pair="$A $B </s>", special_tokens=[("</s>", 2)]
    )
    with pytest.raises(ValueError, match="the same special tokens in both"):
        TextTokenizer(tokenizer)


def test_offsets_are_places_in_the_string():
    texts = build().text_tokenizer()
    strings = ["two men", ""]
    assert [len(offsets) for offsets in texts.offsets(strings)] == [len(ids) for ids in texts(strings)]
    assert texts.offsets(strings)[0][0][0] == 0 and texts.offsets(strings)[0][-1][1] == len("two men")
    with pytest.raises(ValueError, match="in plain Python, which does not know the places of its tokens; use a fast"):
        build("plain_python").text_tokenizer().offsets(strings)

"""Tiny tokenizers of the three kinds that the text encoders use, built here."""

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from tgdi_hf import TGDIProcessor
from tgdi_hf.tiny import tiny_image_processor, tiny_tokenizer

TEXTS = [
    "JFK and Obama at Harvard",
    "RT @user : the A&amp;M team , 2 0 1 8 #win",
    "two men in gowns on a stage in New York",
    "Ünïcödé naïve café 🎉 مرحبا",
    "<s> </s> [SEP] [CLS] <head> </tail> a b c d e f g h i j k l m n o p q r s t u v w x y z",
]


def byte_level():
    """RoBERTa's kind: byte-level BPE, `<s> A </s></s> B </s>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", cls_token="<s>", sep_token="</s>", eos_token="</s>",
        pad_token="<pad>", unk_token="<unk>",
    )  # fmt: skip


def sentence_piece():
    """XLM-R's and CamemBERT's kind: a Unigram model whose words begin with a lower one eighth block."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", cls_token="<s>", sep_token="</s>", eos_token="</s>",
        pad_token="<pad>", unk_token="<unk>",
    )  # fmt: skip


TOKENIZERS = {
    "wordpiece": lambda: tiny_tokenizer(TEXTS, vocab_size=300),
    "bytes": byte_level,
    "sentencepiece": sentence_piece,
}


def build(kind="wordpiece", **options) -> TGDIProcessor:
    return TGDIProcessor(tiny_image_processor(16), TOKENIZERS[kind](), **options)


@pytest.fixture(scope="session")
def processors_of_all_kinds():
    return {kind: build(kind) for kind in TOKENIZERS}


@pytest.fixture(params=TOKENIZERS)
def any_processor(request, processors_of_all_kinds):
    return processors_of_all_kinds[request.param]


@pytest.fixture(scope="session")
def wordpiece(processors_of_all_kinds):
    return processors_of_all_kinds["wordpiece"]

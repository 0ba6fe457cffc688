"""Tiny tokenizers of the kinds that text encoders use, and processors with them."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import BertTokenizerFast, BertweetTokenizer, PreTrainedTokenizerFast, ViTImageProcessorPil

from tgdi_hf.processing.processing_tgdi import TGDIProcessor

TEXTS = [
    "JFK and Obama at Harvard",
    "RT @user : the A&amp;M team , 2 0 1 8 #win",
    "two men in gowns on a stage in New York",
    "Ünïcödé naïve café 🎉 مرحبا",
    "<s> </s> [SEP] [CLS] <head> </tail> a b c d e f g h i j k l m n o p q r s t u v w x y z",
]
ROBERTA_TOKENS = dict(
    bos_token="<s>", cls_token="<s>", sep_token="</s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"
)


def wordpiece() -> BertTokenizerFast:
    """Like BERT's: `[CLS] A [SEP] B [SEP]`, lower case, segments."""
    letters = sorted(set("".join(TEXTS).lower()) - set(" "))
    words = sorted({word for text in TEXTS for word in text.lower().split() if word.isalnum() and len(word) > 1})
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *(f"##{letter}" for letter in letters), *words]
    return BertTokenizerFast(vocab={piece: i for i, piece in enumerate(pieces)}, do_lower_case=True)


def byte_level() -> PreTrainedTokenizerFast:
    """Like RoBERTa's: byte-level BPE, words include the preceding space, `<s> A </s></s> B </s>`."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    tokenizer.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ROBERTA_TOKENS)


def sentence_piece() -> PreTrainedTokenizerFast:
    """Like XLM-R's and CamemBERT's: a Unigram model with the special tokens among its pieces."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer = normalizers.NFKC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.UnigramTrainer(vocab_size=200, special_tokens=special, unk_token="<unk>", show_progress=False)
    tokenizer.train_from_iterator(TEXTS * 20, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **ROBERTA_TOKENS)


_BERTWEET = TemporaryDirectory()  # BERTweet's tokenizer saves itself by copying the files that it was loaded from


def plain_python() -> BertweetTokenizer:
    """BERTweet's tokenizer, which the `tokenizers` library does not implement."""
    vocabulary, merges = Path(_BERTWEET.name, "vocab.txt"), Path(_BERTWEET.name, "bpe.codes")
    pieces = sorted({*"".join(TEXTS), "an"} - {" "})
    vocabulary.write_text("".join(f"{piece} 1\n{piece}@@ 1\n" for piece in pieces), encoding="utf-8")
    merges.write_text("a n 1\n", encoding="utf-8")
    return BertweetTokenizer(str(vocabulary), str(merges))


TOKENIZERS = {
    "wordpiece": wordpiece,
    "byte_level": byte_level,
    "sentence_piece": sentence_piece,
    "plain_python": plain_python,
}


def image_processor() -> ViTImageProcessorPil:
    return ViTImageProcessorPil(size={"height": 16, "width": 16})


def build(kind: str = "wordpiece", **options) -> TGDIProcessor:
    return TGDIProcessor(image_processor(), TOKENIZERS[kind](), **options)


@pytest.fixture(scope="session")
def processors_by_kind() -> dict[str, TGDIProcessor]:
    return {kind: build(kind) for kind in TOKENIZERS}


@pytest.fixture(params=TOKENIZERS)
def any_processor(request, processors_by_kind) -> TGDIProcessor:
    return processors_by_kind[request.param]


@pytest.fixture(scope="session")
def processor(processors_by_kind) -> TGDIProcessor:
    """A processor with a WordPiece tokenizer."""
    return processors_by_kind["wordpiece"]

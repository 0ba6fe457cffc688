"""Tiny untrained encoders with a tokenizer and an image processor, for use without downloads."""

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer
from transformers import (  # type: ignore[attr-defined]  # BertTokenizerFast is defined lazily
    BertConfig,
    BertTokenizerFast,
    PreTrainedTokenizerBase,
    ViTConfig,
    ViTImageProcessorPil,
)

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_tokenizer(texts: Iterable[str], vocab_size: int = 1000) -> BertTokenizerFast:
    r"""
    Trains a lower-case WordPiece tokenizer.

    The vocabulary contains every character of the texts, word-initial and word-internal, so that unknown words of the
    same characters are split into pieces instead of mapped to `[UNK]`. Equal texts give equal vocabularies.

    Args:
        texts (`Iterable[str]`): Training texts.
        vocab_size (`int`, *optional*, defaults to 1000): Maximum number of tokens, including special tokens.

    Raises:
        ValueError: `vocab_size` is too small for the characters.
    """
    texts = list(texts)
    normalizer = normalizers.BertNormalizer(lowercase=True)
    letters = sorted(set("".join(normalizer.normalize_str(text) for text in texts)) - set(" "))
    # The trainer visits words in the random order of a hash table, numbers pieces in that order, and breaks ties by
    # number. Numbering all characters beforehand makes the vocabulary deterministic.
    first = [*SPECIAL_TOKENS, *letters, *(f"##{letter}" for letter in letters)]
    if len(first) > vocab_size:
        raise ValueError(
            f"`vocab_size` is {vocab_size}, but the special tokens and the {len(letters)} distinct characters of the "
            f"texts are {len(first)} tokens; raise it to {len(first)} or more."
        )
    learner = Tokenizer(WordPiece(unk_token="[UNK]"))
    learner.normalizer, learner.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    trainer = WordPieceTrainer(vocab_size=vocab_size, special_tokens=first, show_progress=False)
    learner.train_from_iterator(texts, trainer)
    return BertTokenizerFast(vocab=learner.get_vocab(), do_lower_case=True)


def tiny_image_processor(image_size: int = 64) -> ViTImageProcessorPil:
    """Builds an image processor on PIL that resizes to a square of `image_size` and scales pixels to -1 to 1."""
    return ViTImageProcessorPil(size={"height": image_size, "width": image_size})


def tiny_text_config(tokenizer: PreTrainedTokenizerBase, **overrides: Any) -> BertConfig:
    r"""
    Configures a BERT with two layers and hidden size 64.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The tokenizer of the processor, `TGDIProcessor(...).tokenizer`, whose
            vocabulary includes the entity markers.
        overrides: Fields of `BertConfig`.
    """
    values = {
        "vocab_size": len(tokenizer),
        "pad_token_id": tokenizer.pad_token_id,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
        "max_position_embeddings": 128,
    }
    return BertConfig(**values | overrides)


def tiny_vision_config(image_size: int = 64, **overrides: Any) -> ViTConfig:
    r"""
    Configures a vision transformer with two layers, hidden size 64, and 64 patches per image.

    Args:
        image_size (`int`, *optional*, defaults to 64): Width and height of the images in pixels, a multiple of 8.
        overrides: Fields of `ViTConfig`.
    """
    values = {
        "image_size": image_size,
        "patch_size": image_size // 8,
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 128,
    }
    return ViTConfig(**values | overrides)


__all__ = ["tiny_image_processor", "tiny_text_config", "tiny_tokenizer", "tiny_vision_config"]

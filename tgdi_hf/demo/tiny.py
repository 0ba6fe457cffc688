"""Tiny untrained encoders, with a tokenizer and an image processor, that need no download."""

from collections.abc import Iterable

from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordPiece
from tokenizers.trainers import WordPieceTrainer
from transformers import BertConfig, BertTokenizerFast, PreTrainedTokenizerBase, ViTConfig, ViTImageProcessorPil

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")


def tiny_tokenizer(texts: Iterable[str], vocab_size: int = 1000) -> BertTokenizerFast:
    r"""
    Trains a lower-case WordPiece tokenizer. It has every letter of the texts, at a word's start and inside a word, so
    that new words of the same letters fall into pieces, not into `[UNK]`. Equal texts give an equal vocabulary.

    Args:
        texts (`Iterable[str]`): What to learn the pieces from.
        vocab_size (`int`, *optional*, defaults to 1000): The most tokens, special tokens included.

    Raises:
        ValueError: `vocab_size` leaves no room for the letters.
    """
    texts = list(texts)
    normalizer = normalizers.BertNormalizer(lowercase=True)
    letters = sorted(set("".join(normalizer.normalize_str(text) for text in texts)) - set(" "))
    # The trainer visits words in the random order of a hash table. It numbers pieces as it meets them and breaks ties
    # by number; naming all letters beforehand leaves it no choice.
    first = [*SPECIAL_TOKENS, *letters, *(f"##{letter}" for letter in letters)]
    if len(first) > vocab_size:
        raise ValueError(
            f"`vocab_size` is {vocab_size}, but the special tokens and the {len(letters)} letters of the texts "
            f"make {len(first)} tokens; raise it to {len(first)} or more."
        )
    learner = Tokenizer(WordPiece(unk_token="[UNK]"))
    learner.normalizer, learner.pre_tokenizer = normalizer, pre_tokenizers.BertPreTokenizer()
    trainer = WordPieceTrainer(vocab_size=vocab_size, special_tokens=first, show_progress=False)
    learner.train_from_iterator(texts, trainer)
    return BertTokenizerFast(vocab=learner.get_vocab(), do_lower_case=True)


def tiny_image_processor(image_size: int = 64) -> ViTImageProcessorPil:
    """An image processor that scales to `image_size` squared and to the range -1 to 1, by PIL alone."""
    return ViTImageProcessorPil(size={"height": image_size, "width": image_size})


def tiny_text_config(tokenizer: PreTrainedTokenizerBase, **overrides) -> BertConfig:
    r"""
    A BERT of two layers, 64 wide.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's; with entity markers if they are to have embeddings, so take
            the one of the processor: `TGDIProcessor(...).tokenizer`.
        overrides: Other values of `BertConfig`.
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


def tiny_vision_config(image_size: int = 64, **overrides) -> ViTConfig:
    r"""
    A vision transformer of two layers, 64 wide, with 64 patches an image.

    Args:
        image_size (`int`, *optional*, defaults to 64): Width and height of the images, a multiple of 8.
        overrides: Other values of `ViTConfig`.
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

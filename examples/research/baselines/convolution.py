"""CNN and PCNN over word and position embeddings (Zeng et al., COLING 2014 and EMNLP 2015)."""

from collections import Counter
from collections.abc import Iterable

import torch
from huggingface_hub.dataclasses import strict
from tokenizers import Tokenizer, normalizers, pre_tokenizers
from tokenizers.models import WordLevel
from tokenizers.processors import TemplateProcessing
from torch import nn
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerFast
from transformers.loss.loss_utils import fixed_cross_entropy
from transformers.modeling_outputs import SequenceClassifierOutput
from transformers.utils import can_return_tuple

from .glove import WordVectors
from .unread_inputs import refuse_caption, refuse_foreign_arguments, refuse_unread_images

NORMALIZER, SPLITTER = normalizers.BertNormalizer(lowercase=True), pre_tokenizers.BertPreTokenizer()


def words_of(text: str) -> list[str]:
    """The words into which `word_tokenizer` splits a text: lower case, without accents, punctuation apart."""
    return [word for word, _ in SPLITTER.pre_tokenize_str(NORMALIZER.normalize_str(text))]


def is_word(text: str) -> bool:
    """Whether `word_tokenizer` can produce this word."""
    return words_of(text) == [text]


def frequent_words(texts: Iterable[str], min_count: int = 2) -> list[str]:
    """The words that occur at least `min_count` times in the texts, in alphabetical order."""
    counts = Counter(word for text in texts for word in words_of(text))
    return sorted(word for word, count in counts.items() if count >= min_count)


def word_tokenizer(words: Iterable[str]) -> PreTrainedTokenizerFast:
    """A lower-case tokenizer with this vocabulary, after the special tokens; other words become `[UNK]`."""
    special = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    vocabulary = {word: i for i, word in enumerate([*special.values(), *words])}
    tokenizer = Tokenizer(WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = NORMALIZER, SPLITTER
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[(name, vocabulary[name]) for name in ("[CLS]", "[SEP]")],
    )
    names = ["input_ids", "token_type_ids", "attention_mask"]
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special, model_input_names=names, model_max_length=512)


@strict
class ConvolutionConfig(PreTrainedConfig):
    r"""
    Args:
        vocab_size (`int`): Size of the vocabulary, entity markers included.
        piecewise (`bool`, *optional*, defaults to `False`):
            PCNN: max-pools each filter before, between and after the entities, instead of over the whole text.
        word_vectors (`str`, *optional*):
            Name of the file with the initial word vectors; `None` for random ones. A record, which loads nothing.
        word_size, position_size, num_filters, window (`int`): Sizes; the defaults are those of the papers.
        max_distance (`int`, *optional*, defaults to 60): Relative positions are clipped to this distance in tokens.
        classifier_dropout (`float`, *optional*, defaults to 0.5): Dropout before the classifier.
    """

    model_type = "mre_convolution"

    vocab_size: int = 0
    piecewise: bool = False
    word_vectors: str | None = None
    word_size: int = 50
    position_size: int = 5
    num_filters: int = 230
    window: int = 3
    max_distance: int = 60
    classifier_dropout: float | int = 0.5
    initializer_range: float | int = 0.02


class ConvolutionForRelationExtraction(PreTrainedModel):
    """CNN, or PCNN with `piecewise`. It reads the text alone, without caption."""

    config: ConvolutionConfig
    main_input_name = "input_ids"
    reads_image = False
    reads_objects = False
    reads_boxes = False

    def __init__(self, config: ConvolutionConfig):
        super().__init__(config)
        self.words = nn.Embedding(config.vocab_size, config.word_size, padding_idx=0)
        self.positions = nn.ModuleList(
            [nn.Embedding(2 * config.max_distance + 1, config.position_size) for _ in ("head", "tail")]
        )
        channels = config.word_size + 2 * config.position_size
        self.convolution = nn.Conv1d(channels, config.num_filters, config.window, padding=config.window // 2)
        self.dropout = nn.Dropout(config.classifier_dropout)
        pieces = 3 if config.piecewise else 1
        self.classifier = nn.Linear(pieces * config.num_filters, config.num_labels)
        self.post_init()

    @torch.no_grad()
    def set_word_vectors(self, vectors: WordVectors, tokenizer: PreTrainedTokenizerFast) -> None:
        r"""
        Starts the embeddings of words from vectors. Special tokens and entity markers keep their random ones.

        Args:
            vectors: From `read_glove`.
            tokenizer: The model's tokenizer, whose vocabulary has all these words.

        Raises:
            ValueError: Vectors of another width than `word_size`.
        """
        width = vectors.vectors.shape[1]
        if width != self.config.word_size:
            raise ValueError(f"`word_size` is {self.config.word_size}; the word vectors have {width} numbers.")
        vocabulary = tokenizer.get_vocab()
        self.words.weight[[vocabulary[word] for word in vectors.words]] = vectors.vectors

    @can_return_tuple
    def forward(
        self,
        input_ids,
        attention_mask,
        head_index,
        tail_index,
        labels=None,
        num_items_in_batch=None,
        token_type_ids=None,
        enhanced_input_ids=None,
        enhanced_attention_mask=None,
        enhanced_token_type_ids=None,
        pixel_values=None,
        image_mask=None,
        image_index=None,
        **kwargs,
    ) -> SequenceClassifierOutput:
        r"""
        Args:
            input_ids, attention_mask (`torch.Tensor`): `(B, L)`.
            head_index, tail_index (`torch.LongTensor`): `(B,)`, the opening markers.
            labels (`torch.LongTensor`, *optional*): `(B,)`.

        Words have no types, so that `token_type_ids` has no effect.

        Raises:
            TypeError: An unknown argument.
            ValueError: `vision_features`, images or captions, which are not read.
        """
        refuse_foreign_arguments(self.forward, kwargs)
        name = type(self).__name__
        refuse_unread_images(name, pixel_values, image_mask, image_index, reads_image=False, reads_objects=False)
        refuse_caption(name, enhanced_input_ids)
        places = torch.arange(input_ids.shape[1], device=input_ids.device).expand_as(input_ids)  # (B, L)
        features = [self.words(input_ids)]
        for embedding, index in zip(self.positions, (head_index, tail_index)):
            far = self.config.max_distance
            features.append(embedding((places - index[:, None]).clamp(-far, far) + far))
        there = attention_mask.bool()
        seen = torch.cat(features, dim=-1) * there.unsqueeze(-1)  # padding equals the zero padding of the convolution
        maps = self.convolution(seen.mT)  # (B, filters, L)
        if self.config.piecewise:
            pair = torch.stack([head_index, tail_index], dim=1)
            first, second = pair.amin(dim=1, keepdim=True), pair.amax(dim=1, keepdim=True)
            pieces = [places <= first, (places > first) & (places <= second), places > second]
        else:
            pieces = [torch.ones_like(there)]
        pooled = [
            maps.masked_fill(~(piece & there)[:, None, :], torch.finfo(maps.dtype).min).amax(dim=-1) for piece in pieces
        ]
        logits = self.classifier(self.dropout(torch.cat(pooled, dim=-1).tanh()))
        loss = None
        if labels is not None:
            loss = fixed_cross_entropy(logits.float(), labels, num_items_in_batch=num_items_in_batch)
        return SequenceClassifierOutput(loss=loss, logits=logits)

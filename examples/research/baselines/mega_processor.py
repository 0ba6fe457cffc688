"""The processor of MEGA, which adds the structural alignment of objects and tokens to the inputs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import BatchFeature

from tgdi_hf import TGDIProcessor
from tgdi_hf.processing.entity_markers import (
    HEAD_END,
    HEAD_START,
    TAIL_END,
    TAIL_START,
    truncate_around_entities,
    words_to_text,
)
from tgdi_hf.processing.image_boxes import is_box
from tgdi_hf.processing.image_opening import MAX_IMAGE_PIXELS
from tgdi_hf.processing.post_columns import column, text_column
from tgdi_hf.processing.processor_options import CROPS
from tgdi_hf.processing.text_rows import mark_entities

from .dependency_trees import CHAIN, DependencyTree, tree_of, tree_parser
from .structural_alignment import structural_likeness

NO_WORD = -1


class MEGAProcessor(TGDIProcessor):
    r"""
    `TGDIProcessor` with one output more: `structure` `(B, m, L)`, the likeness of each object and each token in the
    structure of their graphs. Word pieces take the number of their word; markers, special tokens, padding, captions and
    empty slots have zeros. It is absent from a batch without objects.

    Args:
        trees (`str`, *optional*, defaults to `"chain"`): See `tree_parser`.

    The other arguments are those of `TGDIProcessor`, with defaults for MEGA. It reads objects and no images, and so
    crops only.

    Raises:
        ImportError, ValueError: The parser is not installed.
    """

    def __init__(
        self,
        image_processor=None,
        tokenizer=None,
        num_objects: int = 10,
        use_caption: bool = False,
        max_length: int | None = None,
        use_image: bool = False,
        max_image_pixels: int = MAX_IMAGE_PIXELS,
        image_resize: str | None = None,
        object_resize: str | None = None,
        object_features: str = CROPS,
        trees: str = CHAIN,
    ):
        super().__init__(
            image_processor,
            tokenizer,
            num_objects=num_objects,
            use_caption=use_caption,
            max_length=max_length,
            use_image=use_image,
            max_image_pixels=max_image_pixels,
            image_resize=image_resize,
            object_resize=object_resize,
            object_features=object_features,
        )
        tree_parser(trees)
        self.trees = trees

    @property
    def model_input_names(self) -> list[str]:
        return [*super().model_input_names, "structure"]

    def __call__(self, images=None, text=None, head=None, tail=None, objects=None, **kwargs: Any) -> BatchFeature:
        batch = super().__call__(images, text, head, tail, objects, **kwargs)
        if "image_mask" not in batch:
            return batch
        if isinstance(text, str):
            text, head, tail, objects = [text], [head], [tail], [objects]
        texts = text_column(text)
        heads, tails, boxes = (
            column(name, values, len(texts)) for name, values in (("head", head), ("tail", tail), ("objects", objects))
        )
        ids = batch["enhanced_input_ids" if "enhanced_input_ids" in batch else "input_ids"]
        lengths = np.asarray(batch["attention_mask"]).sum(axis=1)
        shape = (len(texts), np.asarray(batch["image_mask"]).shape[1] - 1, np.asarray(ids).shape[1])
        structure = np.zeros(shape, dtype=np.float32)
        for row, post in enumerate(zip(texts, heads, tails, boxes)):
            found = self._alignment(*post, length=int(lengths[row]))  # (objects, tokens of the text)
            structure[row, : found.shape[0], : found.shape[1]] = found
        batch["structure"] = torch.from_numpy(structure) if isinstance(ids, torch.Tensor) else structure
        return batch

    def _alignment(self, text: Any, head: Any, tail: Any, objects: Any, length: int) -> np.ndarray:
        parts = [] if objects is None else list(objects)[: self.num_objects]
        spans = None
        if not isinstance(text, str):
            joined, every = words_to_text(list(text), [(i, i + 1) for i in range(len(text))])
            spans = tuple(span for word, span in zip(text, every) if not (word == "" or word.isspace()))
        else:
            joined = text
        tree = tree_of(self.trees, joined, spans)
        words = self._words_of_tokens(text, head, tail, tree, length)
        likeness = structural_likeness(tree, [tuple(map(float, part)) if is_box(part) else None for part in parts])
        return np.where(words == NO_WORD, 0.0, likeness[:, words])

    def _words_of_tokens(self, text: Any, head: Any, tail: Any, tree: DependencyTree, length: int) -> np.ndarray:
        """The word of each of the `length` tokens of a text with its markers, `NO_WORD` for markers and the like."""
        texts = self.text_tokenizer()
        segments, markers = mark_entities(text, head, tail, "")
        words: list[int] = []
        places, start = {}, 0
        word_at = _word_at_characters(tree, sum(map(len, segments)))
        for segment, marker, offsets in zip(segments, [*markers, None], texts.offsets(segments)):
            words += [_first_word(word_at[start + first : start + last]) for first, last in offsets]
            start += len(segment)
            if marker is not None:
                places[marker] = len(words)
                words.append(NO_WORD)
        entities = (places[HEAD_START], places[HEAD_END]), (places[TAIL_START], places[TAIL_END])
        words = truncate_around_entities(words, entities, length - texts.frame.single)
        before, behind = ([NO_WORD] * len(tokens) for tokens in (texts.frame.prefix, texts.frame.suffix))
        return np.array([*before, *words, *behind])


def _word_at_characters(tree: DependencyTree, length: int) -> np.ndarray:
    """The number of the word that each of `length` characters belongs to, or `NO_WORD`."""
    words = np.full(length, NO_WORD)
    for word, (start, end) in enumerate(tree.spans):
        words[start:end] = word
    return words


def _first_word(words: Sequence[int]) -> int:
    """The first word that a token has characters of; some vocabularies have the space before a word in its token."""
    return next((int(word) for word in words if word != NO_WORD), NO_WORD)

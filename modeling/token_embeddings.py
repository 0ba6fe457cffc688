"""Resizing the word embeddings of a model to a tokenizer with entity markers."""

from typing import cast

import torch
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from .configuration_tgdi import ENTITY_MARKERS


def resize_to_tokenizer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    r"""
    Extends the word embeddings of `model` to every token of `tokenizer`; existing rows are kept and none is removed.
    Each dimension of a new row is drawn from the mean and standard deviation of the existing rows, so that the markers
    differ from each other as much as words do.

    Raises:
        ValueError: The tokenizer lacks the entity markers.
    """
    vocabulary = tokenizer.get_vocab()
    missing = [marker for marker in ENTITY_MARKERS if marker not in vocabulary]
    if missing:
        raise ValueError(
            f"The tokenizer lacks the entity markers {', '.join(missing)}. Use the tokenizer of a processor, which "
            "adds them: `processor = TGDIProcessor(image_processor, tokenizer)`, then `processor.tokenizer`."
        )
    num_known = cast(nn.Embedding, model.get_input_embeddings()).num_embeddings
    new = list(range(num_known, len(tokenizer)))
    if new:
        # Mean resizing would draw nearly identical rows, which differ by a thousandth: head would look like tail.
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    rows = cast(nn.Embedding, model.get_input_embeddings()).weight.data
    markers = [vocabulary[marker] for marker in ENTITY_MARKERS]
    if not new and len(rows[markers].unique(dim=0)) < len(markers):  # untrained rows of a padded vocabulary
        new = markers
    if new:
        mean, std = rows[:num_known].float().mean(0), rows[:num_known].float().std(0)
        rows[new] = (mean + std * torch.randn_like(rows[new], dtype=torch.float32)).to(rows.dtype)

"""Which posts share a batch, and which rows of a batch a forward pass: those of like length."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .text_limits import default_limit


def token_counts(
    processor: Any, texts: Sequence[str], captions: Sequence[str], max_length: int | None = None
) -> list[int]:
    r"""
    Args:
        processor (`TGDIProcessor`): The model's processor.
        texts: The texts; lone surrogates, which the processor rejects, count as any other character.
        captions: Their captions, empty where there is none.
        max_length: The longest text with its caption; by default that of the processor.

    Returns:
        The number of tokens of each text in both passes of the text encoder, alone and with its caption, without
        special tokens and markers.
    """
    if not processor.use_caption:
        captions = [""] * len(texts)
    tokens = processor.text_tokenizer()([_encodable(string) for string in (*texts, *captions)])
    limit = max_length or processor.max_length or default_limit(processor.tokenizer)
    return [
        min(len(text), limit) + min(len(text) + len(caption), limit)
        for text, caption in zip(tokens[: len(texts)], tokens[len(texts) :])
    ]


def _encodable(text: str) -> str:
    return text if text.isascii() else text.encode(errors="replace").decode()


def longest_first(lengths: Sequence[int]) -> list[int]:
    r"""
    Indices into `lengths` by falling length: if memory does not suffice, the first batch fails. Texts of one length,
    among them equal texts with one image, keep their order and stay together.
    """
    return sorted(range(len(lengths)), key=lambda i: -lengths[i])


def batches_by_length(lengths: Sequence[int], size: int) -> list[list[int]]:
    r"""
    Forms batches of texts of like length, so that little of a batch is padding.

    Args:
        lengths: The length of each text.
        size: The number of texts per batch.

    Returns:
        Indices into `lengths`, see `longest_first`.
    """
    order = longest_first(lengths)
    return [order[start : start + size] for start in range(0, len(order), size)]


def rows_of_passes(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    r"""
    Divides the rows of a batch among forward passes.

    Args:
        lengths: The length of each row in tokens.
        max_tokens: The largest number of rows of a pass times their longest length.

    Returns:
        Indices into `lengths`, the longest rows first. A row that exceeds `max_tokens` has a pass of its own.
    """
    order, passes = longest_first(lengths), []
    while order:
        count = max(max_tokens // max(lengths[order[0]], 1), 1)
        passes.append(order[:count])
        order = order[count:]
    return passes


def text_rows_of(inputs: Mapping[str, torch.Tensor], rows: torch.Tensor) -> dict[str, torch.Tensor]:
    r"""
    Args:
        inputs: The text inputs of a batch, padded on the right.
        rows: Indices of rows.

    Returns:
        The inputs of these rows, padded to the longest of them.
    """
    part = {name: tensor[rows] for name, tensor in inputs.items()}
    for prefix in ("", "enhanced_"):
        if (mask := part.get(f"{prefix}attention_mask")) is not None:
            longest = int(mask.sum(dim=1).max())
            names = (f"{prefix}{name}" for name in ("input_ids", "attention_mask", "token_type_ids"))
            part.update((name, part[name][:, :longest]) for name in names if name in part)
    return part


def image_rows_of(images: Mapping[str, torch.Tensor], rows: torch.Tensor) -> dict[str, torch.Tensor]:
    r"""
    Args:
        images: `vision_features` of distinct images, with `image_index` and other tensors of rows; or nothing.
        rows: Indices of rows.

    Returns:
        The same for these rows, with only the images that they refer to: a pass projects every image that it is given.
    """
    if not images:
        return {}
    part = {name: tensor[rows] for name, tensor in images.items() if name != "vision_features"}
    used, part["image_index"] = part["image_index"].unique(return_inverse=True)
    return {"vision_features": images["vision_features"][used], **part}

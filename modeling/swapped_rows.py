"""Rows with the image of another post in training: which of them count, as the text alone supports their label."""

import torch

from .devices import on_device_of


def supported_rows(
    text_scores: torch.Tensor, labels: torch.Tensor, matches: torch.Tensor | None
) -> torch.Tensor | None:
    r"""
    A row keeps its label when its image is swapped. Where the image had determined the label, the label is then wrong:
    such a row does not count. Not in the paper.

    Args:
        text_scores (`torch.Tensor`): Logits of the text alone, `(B, num_labels)`.
        labels (`torch.LongTensor`): Label ids, `(B,)`.
        matches (`torch.Tensor`, *optional*): `image_matches`, `(B,)`.

    Returns:
        `torch.Tensor` or `None`: `(B,)`, 0 for rows with a swapped image whose label has a probability of at most 0.5
        by the text alone, and 1 for all others; without `matches` `None`.
    """
    if matches is None:
        return None
    probabilities = text_scores.detach().float().softmax(dim=-1)
    probability = probabilities.gather(1, labels.clamp(min=0).unsqueeze(1)).squeeze(1)
    return (on_device_of(matches, labels).bool() | (probability > 0.5)).to(probability.dtype)

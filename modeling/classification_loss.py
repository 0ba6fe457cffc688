"""The loss of the classifier over the relations (Eq. 16), for one relation per entity pair or several."""

import torch
from torch import nn
from transformers.loss.loss_utils import fixed_cross_entropy

from .input_checks import has_values

IGNORED = -100  # the label that PyTorch's cross-entropy leaves out


def classification_loss(
    scores: torch.Tensor,
    labels: torch.Tensor,
    multi_label: bool = False,
    num_items_in_batch: torch.Tensor | int | None = None,
) -> torch.Tensor:
    r"""
    Cross-entropy of Eq. 16, or binary cross-entropy for each of several relations, which the paper does not have.

    Args:
        scores (`torch.Tensor`): `(B, labels)`, before softmax or sigmoid.
        labels (`torch.Tensor`): `(B,)`, ids; with `multi_label` `(B, labels)`, 1 where the relation holds and 0 where
            it does not. -100 is left out.
        multi_label (`bool`): Whether a row may have several labels, or none.
        num_items_in_batch (`torch.Tensor` or `int`, *optional*): What the sum is divided by: the labels other than -100
            of all batches that are accumulated to one step. By default those of this batch.

    Returns:
        `torch.Tensor`: A scalar; 0, with gradients of 0, where every label is -100.

    Raises:
        ValueError: Labels of another shape or kind than these; or, on the CPU, out of range.
    """
    if not multi_label:
        # PyTorch takes floating-point targets of the scores' shape for probabilities, so flags would pass unnoticed.
        if labels.shape != scores.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ValueError(
                f"`labels` has shape {tuple(labels.shape)} and type {labels.dtype}; a single-label model expects "
                f"integer ids of shape {tuple(scores.shape[:1])}. For several relations per entity pair build the "
                "model with `problem_type='multi_label_classification'`."
            )
        labels = labels.long()
        _check_ids(labels, scores.shape[1])
        count = labels_of_step(labels, num_items_in_batch)
        return fixed_cross_entropy(scores.float(), labels, num_items_in_batch=count)
    if labels.shape != scores.shape:
        raise ValueError(
            f"`labels` has shape {tuple(labels.shape)}; a multi-label model expects {tuple(scores.shape)}: 1 for each "
            "relation that holds, 0 for the others. `TGDICollator(processor, num_labels=…)` makes them of lists of ids."
        )
    counted = labels != IGNORED
    _check_flags(labels, counted)
    losses = nn.functional.binary_cross_entropy_with_logits(
        scores.float(), labels.float().masked_fill(~counted, 0), reduction="none"
    )
    return (losses * counted).sum() / labels_of_step(labels, num_items_in_batch)


def labels_of_step(labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None) -> torch.Tensor | int:
    """How many labels other than -100 a step has, by default those of `labels`; 1 if none, to divide by."""
    if num_items_in_batch is None:
        return (labels != IGNORED).sum().clamp(min=1)
    if isinstance(num_items_in_batch, torch.Tensor):
        return num_items_in_batch.to(labels.device).clamp(min=1)
    return max(num_items_in_batch, 1)


def _check_ids(labels: torch.Tensor, count: int) -> None:
    if not has_values(labels):
        return
    outside = (labels != IGNORED) & ((labels < 0) | (labels >= count))
    if outside.any():
        row = int(outside.nonzero()[0, 0])
        raise ValueError(
            f"`labels` has {int(labels[row])} in row {row}; expected ids from 0 to {count - 1}, or {IGNORED} for a row "
            "without label."
        )


def _check_flags(labels: torch.Tensor, counted: torch.Tensor) -> None:
    if not has_values(labels):
        return
    outside = counted & ~((labels >= 0) & (labels <= 1))  # NaN, too
    if outside.any():
        row, column = (int(place) for place in outside.nonzero()[0])
        raise ValueError(
            f"`labels` has {float(labels[row, column]):g} in row {row}, column {column}; expected 1 for a relation "
            f"that holds, 0 for another one, or {IGNORED} to leave it out."
        )

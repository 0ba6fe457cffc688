"""The classification loss (Eq. 16), for single-label and multi-label models."""

from collections.abc import Sequence

import torch
from torch import nn
from transformers.loss.loss_utils import fixed_cross_entropy

from .devices import can_read_values, on_device_of

IGNORED = -100  # the label that PyTorch's cross-entropy ignores


def classification_loss(
    scores: torch.Tensor,
    labels: torch.Tensor,
    multi_label: bool = False,
    num_items_in_batch: torch.Tensor | int | None = None,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""
    Cross-entropy of Eq. 16, or, beyond the paper, the binary cross-entropy of each relation of a multi-label model.

    Args:
        scores (`torch.Tensor`): `(B, num_labels)`, before softmax or sigmoid.
        labels (`torch.Tensor`): Label ids, `(B,)`; with `multi_label` `(B, num_labels)`, 1 for each relation that holds
            and 0 for the others. -100 is ignored.
        multi_label (`bool`): Whether a row may have any number of labels.
        num_items_in_batch (`torch.Tensor` or `int`, *optional*): Divisor of the summed loss: the number of labels other
            than -100 in all batches that are accumulated to one step. Defaults to that of this batch.
        weights (`torch.Tensor`, *optional*): Weights of the rows in the sum, `(B,)`, for a single-label model. They do
            not change the divisor.

    Returns:
        `torch.Tensor`: A scalar; 0, with gradients of 0, if every label is -100.

    Raises:
        ValueError: Labels of another shape or dtype, or, on the CPU, out of range.
    """
    if not multi_label:
        # PyTorch reads floating-point targets of the scores' shape as probabilities and would accept flags silently.
        if labels.shape != scores.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ValueError(
                f"`labels` has shape {tuple(labels.shape)} and dtype {labels.dtype}; a single-label model expects "
                f"integer ids of shape {tuple(scores.shape[:1])}. For several relations per entity pair build the "
                "model with `problem_type='multi_label_classification'`."
            )
        labels = labels.long()
        _check_ids(labels, scores.shape[1])
        count = _labels_of_step(labels, num_items_in_batch)
        if weights is not None:
            losses = nn.functional.cross_entropy(scores.float(), labels, ignore_index=IGNORED, reduction="none")
            return (on_device_of(weights, losses) * losses).sum() / count
        # It divides by integers as well, contrary to its annotation.
        return fixed_cross_entropy(scores.float(), labels, num_items_in_batch=count)  # type: ignore[arg-type]
    if labels.shape != scores.shape:
        raise ValueError(
            f"`labels` has shape {tuple(labels.shape)}; a multi-label model expects {tuple(scores.shape)}: 1 for each "
            "relation that holds, 0 for the others. `TGDICollator(processor, num_labels=…)` builds them from ids."
        )
    counted = labels != IGNORED
    _check_flags(labels, counted)
    losses = nn.functional.binary_cross_entropy_with_logits(
        scores.float(), labels.float().masked_fill(~counted, 0), reduction="none"
    )
    return (losses * counted).sum() / _labels_of_step(labels, num_items_in_batch)


def adjusted_scores(scores: torch.Tensor, log_priors: Sequence[float] | None, strength: float) -> torch.Tensor:
    r"""
    The scores that the loss reads with logit adjustment: those of frequent labels are raised, so that the model has to
    give them less (Menon et al. 2021, Eq. 10).

    Args:
        scores (`torch.Tensor`): `(B, num_labels)`, before softmax.
        log_priors (`Sequence[float]`): `(num_labels,)`, the logarithms of the labels' frequencies.
        strength (`float`): Their weight τ.

    Raises:
        ValueError: The frequencies were not counted.
    """
    if log_priors is None:
        raise ValueError(
            f"`logit_adjustment` is {strength:g}, but `label_log_priors` is not set. Train with `make_trainer`, which "
            "counts the labels, or set `model.config.label_log_priors`."
        )
    return scores + strength * scores.new_tensor(log_priors)


def share_of_step(labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None) -> torch.Tensor | int:
    r"""
    The weight of a batch's mean in the loss of a step that accumulates several batches.

    Args:
        labels (`torch.Tensor`): As in `classification_loss`.
        num_items_in_batch (`torch.Tensor` or `int`, *optional*): As in `classification_loss`.

    Returns:
        `torch.Tensor` or `int`: The batch's share of the labels other than -100; 1 without `num_items_in_batch`.
    """
    if num_items_in_batch is None:
        return 1
    return (labels != IGNORED).sum() / _labels_of_step(labels, num_items_in_batch)


def _labels_of_step(labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None) -> torch.Tensor | int:
    """The number of labels other than -100 in a step, by default in `labels`; at least 1, as a divisor."""
    if num_items_in_batch is None:
        return (labels != IGNORED).sum().clamp(min=1)
    if isinstance(num_items_in_batch, torch.Tensor):
        return num_items_in_batch.to(labels.device).clamp(min=1)
    return max(num_items_in_batch, 1)


def _check_ids(labels: torch.Tensor, count: int) -> None:
    if not can_read_values(labels):
        return
    outside = (labels != IGNORED) & ((labels < 0) | (labels >= count))
    if outside.any():
        row = int(outside.nonzero()[0, 0])
        raise ValueError(
            f"`labels` has {int(labels[row])} in row {row}; expected ids from 0 to {count - 1}, or {IGNORED} for a row "
            "without a label."
        )


def _check_flags(labels: torch.Tensor, counted: torch.Tensor) -> None:
    if not can_read_values(labels):
        return
    outside = counted & ~((labels >= 0) & (labels <= 1))  # true for NaN as well
    if outside.any():
        row, column = (int(place) for place in outside.nonzero()[0])
        raise ValueError(
            f"`labels` has {float(labels[row, column]):g} in row {row}, column {column}; expected 1 for a relation "
            f"that holds, 0 for any other, or {IGNORED} to ignore it."
        )

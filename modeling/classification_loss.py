"""The loss of the classifier over the relations (Eq. 16), for one relation per entity pair or several."""

import torch
from torch import nn
from transformers.loss.loss_utils import fixed_cross_entropy

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

    Raises:
        ValueError: Labels of another shape or kind than these.
    """
    if not multi_label:
        # PyTorch takes floating-point targets of the scores' shape for probabilities, so flags would pass unnoticed.
        if labels.shape != scores.shape[:1] or labels.is_floating_point() or labels.dtype == torch.bool:
            raise ValueError(
                f"`labels` has shape {tuple(labels.shape)} and type {labels.dtype}; a single-label model expects "
                f"integer ids of shape {tuple(scores.shape[:1])}. For several relations per entity pair build the "
                "model with `problem_type='multi_label_classification'`."
            )
        return fixed_cross_entropy(scores.float(), labels.long(), num_items_in_batch=num_items_in_batch)
    if labels.shape != scores.shape:
        raise ValueError(
            f"`labels` has shape {tuple(labels.shape)}; a multi-label model expects {tuple(scores.shape)}: 1 for each "
            "relation that holds, 0 for the others. `TGDICollator(processor, num_labels=…)` makes them of lists of ids."
        )
    counted = labels != IGNORED
    losses = nn.functional.binary_cross_entropy_with_logits(
        scores.float(), labels.float().masked_fill(~counted, 0), reduction="none"
    )
    total = (losses * counted).sum()
    return total / (counted.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch)

"""A loss that keeps the two branches of Eq. 14 from contradicting each other; not in the paper."""

import torch


def branch_divergence(cross_modal: torch.Tensor, text_oriented: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    r"""
    How far apart what the classifier would say of f_1 alone is from what it would say of f_3 alone: the mean of the
    Kullback-Leibler divergences in both directions, in nats. The branches are encoded under dropout of their own, so
    this regularises as R-Drop does (Liang et al., NeurIPS 2021), at the cost of no further pass.

    Args:
        cross_modal, text_oriented (`torch.Tensor`): Logits of the two branches, `(B, num_labels)`.
        labels (`torch.LongTensor`): `(B,)`; rows of -100 are left out.

    Returns:
        `torch.Tensor`: The mean over the other rows; 0 without any.
    """
    log_p, log_q = (logits.float().log_softmax(dim=-1) for logits in (cross_modal, text_oriented))
    both = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=-1) / 2  # (KL(p, q) + KL(q, p)) / 2: (B,)
    counted = labels != -100
    return (both * counted).sum() / counted.sum().clamp(min=1)

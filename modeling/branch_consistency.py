"""A loss that aligns the predictions of the two branches of Eq. 14; not in the paper."""

import torch


def branch_divergence(cross_modal: torch.Tensor, text_oriented: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    r"""
    The mean of the Kullback-Leibler divergences, in nats, between the predictions from f_1 alone and from f_3 alone, in
    both directions. The branches are encoded under independent dropout, so that the loss regularises like R-Drop (Liang
    et al., NeurIPS 2021), but without a second forward pass.

    Args:
        cross_modal, text_oriented (`torch.Tensor`): Logits of the two branches, `(B, num_labels)`.
        labels (`torch.LongTensor`): `(B,)`; rows with -100 are ignored.

    Returns:
        `torch.Tensor`: The mean over the other rows; 0 if all are ignored.
    """
    log_p, log_q = (logits.float().log_softmax(dim=-1) for logits in (cross_modal, text_oriented))
    both = ((log_p.exp() - log_q.exp()) * (log_p - log_q)).sum(dim=-1) / 2  # (KL(p, q) + KL(q, p)) / 2: (B,)
    counted = labels != -100
    return (both * counted).sum() / counted.sum().clamp(min=1)

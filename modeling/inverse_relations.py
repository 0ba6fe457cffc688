"""Relations that hold from tail to head, told apart from no relation at all."""

import torch


def fold_inverses(scores: torch.Tensor, num_labels: int, none: int) -> torch.Tensor:
    r"""
    For a head and a tail, "the relation holds the other way round" is "no relation": their probabilities add up.

    Args:
        scores (`torch.Tensor`): `(B, num_labels + inverse_labels)`, before the softmax; the inverses come last.
        num_labels (`int`): How many relations there are, `None` among them.
        none (`int`): The id of `None`.

    Returns:
        `torch.Tensor`: `(B, num_labels)`, whose softmax has in `None` what that of `scores` has in it and the inverses.
    """
    unrelated = torch.cat([scores[:, none : none + 1], scores[:, num_labels:]], dim=1)  # (B, 1 + inverses)
    folded = unrelated.float().logsumexp(dim=1, keepdim=True).to(scores.dtype)
    return torch.cat([scores[:, :none], folded, scores[:, none + 1 : num_labels]], dim=1)

"""Inverse relations: a relation from tail to head as a label of its own, distinct from no relation."""

import torch


def fold_inverses(scores: torch.Tensor, num_labels: int, none: int | None) -> torch.Tensor:
    r"""
    Adds the probabilities of the inverse relations to that of "no relation": a relation from tail to head is no
    relation from head to tail.

    Args:
        scores (`torch.Tensor`): `(B, num_labels + inverse_labels)`, before the softmax, inverse relations last.
        num_labels (`int`): The number of labels, the negative label included.
        none (`int`): The id of the negative label, which a configuration with `inverse_labels` always has.

    Returns:
        `torch.Tensor`: `(B, num_labels)`. Its softmax gives the negative label the sum of the probabilities that the
        softmax of `scores` gives to it and to the inverse relations.
    """
    assert none is not None, "`inverse_labels` requires a negative label"
    unrelated = torch.cat([scores[:, none : none + 1], scores[:, num_labels:]], dim=1)  # (B, 1 + inverses)
    folded = unrelated.float().logsumexp(dim=1, keepdim=True).to(scores.dtype)
    return torch.cat([scores[:, :none], folded, scores[:, none + 1 : num_labels]], dim=1)

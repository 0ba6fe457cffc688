"""Why the model said what it said, from its outputs."""

from typing import Any

import torch


def gate_summary(gate: torch.Tensor) -> dict[str, Any]:
    r"""
    Args:
        gate (`torch.Tensor`): m of Eq. 10, `(d,)`.

    Returns:
        `mean`, `std` and `quantiles` (least, first quarter, median, third quarter, greatest) over the d channels.
    """
    quantiles = gate.quantile(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    return {"mean": gate.mean().item(), "std": gate.std().item(), "quantiles": quantiles.tolist()}


def similarity_maps(similarity: torch.Tensor, exists: torch.Tensor, tokens: int, grid: tuple[int, int]) -> torch.Tensor:
    r"""
    Args:
        similarity (`torch.Tensor`): A of Eq. 8 for one post, `(S n, L)`.
        exists (`torch.Tensor`): `(S,)`, true for the slots that have an image.
        tokens: How many of the L tokens the post has.
        grid: Rows and columns of patches of an image.

    Returns:
        `torch.Tensor`: `(images, rows, columns, tokens)`; each patch's shares of the tokens sum to one.
    """
    return similarity[:, :tokens].unflatten(0, (-1, *grid))[exists]


def branch_shares(
    cross_modal: torch.Tensor, text_oriented: torch.Tensor, weight: float, classifier: torch.Tensor, relation: int
) -> dict[str, float]:
    r"""
    How much the two branches of Eq. 14 have to do with the winning relation: what each adds to its logit above the mean
    of all logits, without regard to sign, as shares of one.

    Args:
        cross_modal (`torch.Tensor`): f_1 at the markers of head and tail, `(2 d,)`.
        text_oriented (`torch.Tensor`): f_3 there, `(2 d,)`.
        weight: λ.
        classifier (`torch.Tensor`): The weights of Eq. 15, `(relations, 2 d)`.
        relation: The winner.
    """
    direction = classifier[relation] - classifier.mean(dim=0)
    parts = torch.stack([(1 - weight) * direction @ cross_modal, weight * direction @ text_oriented]).abs()
    shares = parts / parts.sum().clamp(min=torch.finfo(parts.dtype).tiny)
    return dict(zip(("cross_modal", "text_oriented"), shares.tolist()))

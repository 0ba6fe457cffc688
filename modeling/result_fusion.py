"""Result fusion: the states of the two branches, read at the entity markers and combined (Eq. 14)."""

import torch

from .devices import on_device_of


def at_markers(states: torch.Tensor, head_index: torch.Tensor, tail_index: torch.Tensor) -> torch.Tensor:
    r"""
    Args:
        states (`torch.Tensor`): `(B, L, d)`.
        head_index, tail_index (`torch.Tensor`): Positions of the opening markers of head and tail, `(B,)`.

    Returns:
        `torch.Tensor`: The states at both markers, concatenated, `(B, 2 d)`.
    """
    markers = on_device_of(torch.stack([head_index, tail_index], dim=1), states)  # (B, 2)
    return states.gather(1, markers.unsqueeze(-1).expand(-1, -1, states.shape[-1])).flatten(1)


def fuse_results(
    f_1: torch.Tensor,
    f_2: torch.Tensor,
    f_3: torch.Tensor | None,
    head_index: torch.Tensor,
    tail_index: torch.Tensor,
    config,
) -> torch.Tensor:
    r"""
    Computes R of Eq. 14 at the two positions that the classifier reads.

    Args:
        f_1, f_2 (`torch.Tensor`): Cross-modal states before and after the gate, `(B, L_e, d)`.
        f_3 (`torch.Tensor`, *optional*): Text-oriented states, `(B, L, d)`. `None` (w/o TOI) leaves f_2.
        head_index, tail_index (`torch.Tensor`): Positions of the opening markers of head and tail, `(B,)`.
        config (`TGDIConfig`): Supplies `fusion_lambda` and `use_result_fusion` (w/o R leaves f_3).

    Returns:
        `torch.Tensor`: `(B, 2 d)`.
    """
    if f_3 is None:
        return at_markers(f_2, head_index, tail_index)
    r_3 = at_markers(f_3, head_index, tail_index)
    if not config.use_result_fusion:
        return r_3
    weight, r_1 = config.fusion_lambda, at_markers(f_1, head_index, tail_index)
    return weight * on_device_of(r_3, r_1) + (1 - weight) * r_1

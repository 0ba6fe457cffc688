"""The model's outputs for a batch of posts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch

from .post_batch import Post


class FusedStates(NamedTuple):
    """f_1 and f_3 of Eq. 14 at the markers of head and tail, `(2 d,)` each."""

    cross_modal: torch.Tensor
    text_oriented: torch.Tensor


@dataclass
class RowStates:
    r"""
    The outputs for one row that its evidence is computed from.

    Args:
        ids: The token ids of the text T, without padding.
        directed (`torch.Tensor`, *optional*): The logits of all directed relations, `(L + I,)`, if the model has
            inverse labels.
        branches: The states of both interaction branches; `None` if the model does not fuse them.
        similarity (`torch.Tensor`, *optional*): A of Eq. 8, `(S n, L)`, or `(n, L)` if objects are regions.
        cosine (`torch.Tensor`, *optional*): The cosines of patches and tokens, likewise.
        region_weights (`torch.Tensor`, *optional*): If objects are regions, the weights of the patches of the image in
            each slot, `(S, n)`.
    """

    ids: list[int]
    directed: torch.Tensor | None = None
    branches: FusedStates | None = None
    similarity: torch.Tensor | None = None
    cosine: torch.Tensor | None = None
    region_weights: torch.Tensor | None = None

    def to(self, device: torch.device) -> "RowStates":
        """The same states on a device."""
        return RowStates(
            self.ids,
            _moved(self.directed, device),
            None if self.branches is None else FusedStates(*(state.to(device) for state in self.branches)),
            _moved(self.similarity, device),
            _moved(self.cosine, device),
            _moved(self.region_weights, device),
        )


@dataclass
class ScoredBatch:
    r"""
    A batch of posts with the model's outputs for its B rows; all tensors are `None` if no post is valid.

    Args:
        posts: The posts, invalid ones included.
        probabilities (`torch.Tensor`): The probabilities of all labels, `(B, labels)`.
        text_only (`torch.Tensor`, *optional*): The same without image and caption, if evidence is requested.
        gates (`torch.Tensor`, *optional*): m of Eq. 10, `(B, d)`.
        image_mask (`torch.Tensor`, *optional*): The slots that contain an image, `(B, S)`.
        image_size: Height and width of the pixel values.
        states: The states of all rows, if evidence is requested.
    """

    posts: list[Post]
    probabilities: torch.Tensor | None = None
    text_only: torch.Tensor | None = None
    gates: torch.Tensor | None = None
    image_mask: torch.Tensor | None = None
    image_size: tuple[int, int] | None = None
    states: list[RowStates] = field(default_factory=list)

    def to(self, device: torch.device) -> "ScoredBatch":
        """The same batch with its tensors on a device."""
        return replace(
            self,
            probabilities=_moved(self.probabilities, device),
            text_only=_moved(self.text_only, device),
            gates=_moved(self.gates, device),
            image_mask=_moved(self.image_mask, device),
            states=[states.to(device) for states in self.states],
        )

    def gate(self, row: int) -> torch.Tensor | None:
        """m of Eq. 10 for a row, `(d,)`; `None` if the model has no gate or the row no image."""
        if self.gates is None or self.image_mask is None or not self.image_mask[row].any():
            return None
        return self.gates[row]


def row_states(inputs: Mapping[str, torch.Tensor], outputs: Any, fuses_branches: bool) -> list[RowStates]:
    r"""
    Args:
        inputs: The text inputs of B rows.
        outputs (`TGDIRelationExtractionOutput`): The model's outputs for them, with hidden states.
        fuses_branches: Whether the model fuses both interaction branches (Eq. 14).

    Returns:
        The states of each row.
    """
    markers = torch.stack([inputs["head_index"], inputs["tail_index"]], dim=1)  # (B, 2)
    rows = torch.arange(len(markers), device=markers.device).unsqueeze(1)
    f_1 = outputs.cross_modal_hidden_states[-1][rows, markers].flatten(1).float()  # (B, 2 d)
    f_3 = None
    if outputs.text_oriented_hidden_states is not None and fuses_branches:
        f_3 = outputs.text_oriented_hidden_states[-1][rows, markers].flatten(1).float()
    directed = None if outputs.directed_logits is None else outputs.directed_logits.float()
    maps = (outputs.similarity, outputs.patch_token_cosine, outputs.region_weights)
    similarity, cosine, weights = (None if one is None else one.float() for one in maps)
    return [
        RowStates(
            ids=inputs["input_ids"][i][inputs["attention_mask"][i].bool()].tolist(),
            directed=None if directed is None else directed[i],
            branches=None if f_3 is None else FusedStates(f_1[i], f_3[i]),
            similarity=None if similarity is None else similarity[i],
            cosine=None if cosine is None else cosine[i],
            region_weights=None if weights is None else weights[i],
        )
        for i in range(len(markers))
    ]


def _moved(tensor: torch.Tensor | None, device: torch.device) -> torch.Tensor | None:
    return None if tensor is None else tensor.to(device)

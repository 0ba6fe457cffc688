"""What the mechanisms of TGDI hand to each other: one text, and the pictures of a batch."""

from typing import NamedTuple

import torch


def on_device_of(tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """`tensor` on the device of `other`: under a `device_map` modules, and so what they return, are spread."""
    # Not `tensor.to(...)` outright, which would write the device into every exported graph.
    return tensor if tensor.device == other.device else tensor.to(other.device)


class TextInputs:
    r"""
    One of the two texts of a batch, T or T_e.

    Args:
        ids (`torch.Tensor`, *optional*): `(B, L)`.
        mask (`torch.Tensor`, *optional*): `(B, L)`, nonzero where there is a token; everywhere by default.
        types (`torch.Tensor`, *optional*): `(B, L)`, segment ids.
        embeds (`torch.Tensor`, *optional*): `(B, L, embedding_size)`, word embeddings in the place of `ids`.
    """

    def __init__(
        self,
        ids: torch.Tensor | None,
        mask: torch.Tensor | None = None,
        types: torch.Tensor | None = None,
        embeds: torch.Tensor | None = None,
    ):
        self.ids, self.types, self.embeds = ids, types, embeds
        given = ids if embeds is None else embeds
        self.mask = given.new_ones(given.shape[:2], dtype=torch.long) if mask is None else mask


class Pictures(NamedTuple):
    r"""
    The distinct pictures of a batch, and which of them stands in which of the S slots of a post.

    Args:
        pooled (`torch.Tensor`): `(N, c, G, d_v)`, the pooled tokens of every vision layer.
        patches (`torch.Tensor`): `(N, n, d_v)`, the patches of the last vision layer.
        index (`torch.Tensor`): `(B, S)`, into the N pictures; anything where `mask` is false.
        mask (`torch.Tensor`): `(B, S)`, true where a post has a picture.
    """

    pooled: torch.Tensor
    patches: torch.Tensor
    index: torch.Tensor
    mask: torch.Tensor

    def before(self) -> "Pictures":
        """The same with the pictures of the post before in the place of each post's own; the first has the last's."""
        return self._replace(index=self.index.roll(1, dims=0), mask=self.mask.roll(1, dims=0))

    def same_as(self, other: "Pictures") -> torch.Tensor:
        """`(B,)`: whether the first picture of each post is that of the other, by what it looks like."""
        own, others = (pictures.patches[pictures.index[:, 0]] for pictures in (self, other))
        # Kernels round differently from row to row; other pictures differ by about what they are.
        return (own - others).abs().mean(dim=(1, 2)) < 0.01 * own.abs().mean(dim=(1, 2))

"""What the mechanisms of TGDI hand to each other: one text, and the images of a batch."""

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


class Images(NamedTuple):
    r"""
    The distinct images of a batch, and which of them stands in which of the S slots of a post.

    Args:
        pooled (`torch.Tensor`): `(N, c, G, d_v)`, the pooled tokens of every vision layer.
        patches (`torch.Tensor`): `(N, n, d_v)`, the patches of the last vision layer.
        index (`torch.Tensor`): `(B, S)`, into the N images; anything where `mask` is false.
        mask (`torch.Tensor`): `(B, S)`, true where a post has an image.
    """

    pooled: torch.Tensor
    patches: torch.Tensor
    index: torch.Tensor
    mask: torch.Tensor

    def shifted_negatives(self) -> "Images":
        """The same with the images of the post before in the place of each post's own; the first has the last's."""
        return self._replace(index=self.index.roll(1, dims=0), mask=self.mask.roll(1, dims=0))

    def same_as(self, other: "Images") -> torch.Tensor:
        """`(B,)`: whether the first image of each post is that of the other, by what it looks like."""
        own, others = (images.patches[images.index[:, 0]] for images in (self, other))
        # Kernels round differently from row to row; other images differ by about what they are.
        return (own - others).abs().mean(dim=(1, 2)) < 0.01 * own.abs().mean(dim=(1, 2))

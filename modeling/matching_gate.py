"""Text Modulated Matching Gate: weighs the cross-modal states by the match of image and text (Eq. 7-11)."""

from math import inf, log
from typing import NamedTuple

import torch
from torch import nn
from transformers import initialization as init
from transformers.activations import ACT2FN

from .devices import on_device_of
from .tgdi_inputs import Images

INITIAL_LOGIT_SCALE = log(1 / 0.07)  # CLIP's
MAX_LOGIT_SCALE = log(100)  # likewise; larger ones are unstable


def matching_loss(
    own: torch.Tensor, other: torch.Tensor, images: Images, matches: torch.Tensor | None = None
) -> torch.Tensor:
    r"""
    Binary cross-entropy of the event that the images belong to the text, with the mean of the gate as its probability.
    Both outcomes weigh one half, whatever the number of their examples. Not in the paper.

    A post with its own image is a positive example, and with the image of the preceding post a negative one. A post
    whose image was swapped is another negative example, and serves no other post as one.

    Args:
        own, other (`torch.Tensor`): m, `(B, d)`, for the images of each post and for those of the preceding post.
        images (`Images`): The images of the posts.
        matches (`torch.Tensor`, *optional*): `(B,)`, 0 for posts whose images were swapped. By default none was, and
            posts without a negative example do not count as positive ones either.

    Returns:
        `torch.Tensor`: The mean over the positive examples and the mean over the negative ones, averaged; 0 for either
        without examples.
    """
    negatives = images.shifted_negatives()
    exists = images.mask[:, 0]  # (B,)
    genuine = exists if matches is None else exists & on_device_of(matches, exists).bool()
    # Rows with several entity pairs of one post have the same image, whether the batch shares it or not.
    follows = genuine & genuine.roll(1) & ~images.same_as(negatives)
    p_own, p_other = (m.float().mean(dim=1).clamp(1e-6, 1 - 1e-6) for m in (own, other))
    positive = follows if matches is None else genuine
    positive, follows, swapped = (on_device_of(rows, p_own).float() for rows in (positive, follows, exists & ~genuine))
    losses = [
        -(positive * p_own.log()).sum() / positive.sum().clamp(min=1),
        -(swapped * (1 - p_own).log() + follows * (1 - p_other).log()).sum() / (swapped + follows).sum().clamp(min=1),
    ]
    return torch.stack(losses).mean()


def gated_keys(
    gate: torch.Tensor, prompts: torch.Tensor | None, text: torch.Tensor, enhanced: torch.Tensor
) -> torch.Tensor:
    r"""
    The weights of the keys of Eq. 6 that stem from the images, see `gate_attention` of the configuration.

    Args:
        gate (`torch.Tensor`): m, `(B, d)`.
        prompts (`torch.Tensor`, *optional*): The mask of the visual prompts, `(B, P)`.
        text (`torch.Tensor`): The mask of T, `(B, L)`, which T_e starts with.
        enhanced (`torch.Tensor`): The mask of T_e, `(B, L_e)`.

    Returns:
        `torch.Tensor`: `(B, P + L_e)`: the odds m̄ / (1 - m̄) of the mean m̄ of m, at most one, for visual prompts and the
        tokens of the caption; one for the tokens of T.
    """
    mean = on_device_of(gate, enhanced).float().mean(dim=1, keepdim=True)  # (B, 1)
    # A gate that is undecided, at 0.5, takes nothing from the images.
    odds = (mean / (1 - mean).clamp(min=1e-6)).clamp(min=1e-6, max=1.0)
    positions = torch.arange(enhanced.shape[1], device=enhanced.device)
    weights = torch.where(positions >= text.sum(dim=1, keepdim=True), odds, 1.0)  # (B, L_e)
    return weights if prompts is None else torch.cat([odds.expand(-1, prompts.shape[1]), weights], dim=1)


class TextSelfAttention(nn.Module):
    r"""
    The single-head self-attention over the text of Eq. 7.

    Args:
        config (`TGDIConfig`): The model's configuration.
    """

    def __init__(self, config):
        super().__init__()
        d = config.text_config.hidden_size
        self.query = nn.Linear(d, d, bias=False)
        self.key = nn.Linear(d, d, bias=False)
        self.value = nn.Linear(d, d, bias=False)
        self.norm = nn.LayerNorm(d, eps=config.text_config.layer_norm_eps) if config.self_attention_residual else None

    def forward(self, text: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        r"""
        Args:
            text (`torch.Tensor`): H, `(B, L, d)`.
            mask (`torch.Tensor`): `(B, L)`, nonzero at tokens and zero at padding.

        Returns:
            `torch.Tensor`: H_s, `(B, L, d)`.
        """
        # The dimension of the single head is explicit because ONNX attention requires one.
        query, key, value = (projection(text).unsqueeze(1) for projection in (self.query, self.key, self.value))
        attended = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask.bool()[:, None, None])
        attended = attended.squeeze(1)  # (B, L, d)
        return attended if self.norm is None else self.norm(text + attended)


class GateProjection(nn.Linear):
    r"""
    The last layer of M in Eq. 10.

    Args:
        width (`int`): d.
        initial_gate (`float`): The gate before training, which the initial bias sets.
    """

    def __init__(self, width: int, initial_gate: float):
        super().__init__(width, width)
        self.initial_bias = log(initial_gate / (1 - initial_gate))

    def init_weights(self) -> None:
        """Completes the initialisation of `PreTrainedModel`, which sets every bias to zero."""
        init.constant_(self.bias, self.initial_bias)


class MatchingGateOutput(NamedTuple):
    r"""
    The fields are `None` if the gate is switched off; without images, all but the gate.

    Args:
        gate (`torch.Tensor`, *optional*): m, `(B, d)`; one for posts without an image.
        similarity (`torch.Tensor`, *optional*): A, `(B, P n, L)`, where P is the number of slots S, or one with
            `object_features="regions"`. Each row sums to one over the tokens, or to zero where there is no image.
        cosine (`torch.Tensor`, *optional*): The cosine of each row of V and each row of H_s, `(B, P n, L)`, in
            [-1, 1]; zero where there is no image or no token. Unlike A, comparable between posts.
    """

    gate: torch.Tensor | None = None
    similarity: torch.Tensor | None = None
    cosine: torch.Tensor | None = None


class MatchingGate(nn.Module):
    r"""
    Compares every patch of a post's images with every token of its text and computes a gate from the match.

    Args:
        config (`TGDIConfig`): The model's configuration.
    """

    def __init__(self, config):
        super().__init__()
        d, d_v = config.text_config.hidden_size, config.vision_config.hidden_size
        self.similarity_function = config.similarity_function
        self.norm = nn.LayerNorm(d_v)
        self.projection = nn.Linear(d_v, d)
        # One dimension, because fully sharded training does not support scalars.
        self.logit_scale = nn.Parameter(torch.empty(1)) if self.similarity_function == "cosine" else None
        self.mlp = nn.Sequential(nn.Linear(3 * d, d), ACT2FN["gelu"], GateProjection(d, config.initial_gate))

    def init_weights(self) -> None:
        """Completes the initialisation of `PreTrainedModel`, which does not know the scale of the cosines."""
        if self.logit_scale is not None:
            init.constant_(self.logit_scale, INITIAL_LOGIT_SCALE)

    def forward(self, images: Images, text: torch.Tensor, mask: torch.Tensor) -> MatchingGateOutput:
        r"""
        Args:
            images (`Images`): N distinct images of n patches in S slots of B posts.
            text (`torch.Tensor`): H_s, `(B, L, d)`.
            mask (`torch.Tensor`): `(B, L)`, nonzero at tokens and zero at padding.

        Returns:
            `MatchingGateOutput`.
        """
        patches = self.projection(self.norm(images.patches))  # (N, n, d)
        exists = images.patch_mask.repeat_interleave(patches.shape[1], dim=1).unsqueeze(-1)  # (B, P n, 1)
        exists = exists.to(patches.dtype)
        patches = patches[images.patch_index].flatten(1, 2)  # V: (B, P n, d)
        products = patches @ text.transpose(1, 2)  # (B, P n, L)
        lengths = patches.norm(dim=-1, keepdim=True) * text.norm(dim=-1).unsqueeze(1)  # (B, P n, L)
        # A vector of zeros has a cosine of zero with any other, and no gradient.
        cosine = products / lengths.masked_fill(lengths == 0, inf)
        absent = ~mask.bool()[:, None, :]
        scores = self._scores(products, cosine).masked_fill(absent, torch.finfo(products.dtype).min)
        similarity = scores.softmax(dim=-1) * exists  # Eq. 8
        context = similarity @ text  # Eq. 9: C', (B, P n, d)
        parts = torch.cat([patches, context, patches * context], dim=-1)  # (B, P n, 3 d)
        # An object that is a region of the image is a mask over its patches: none is compared with the text twice.
        mean = (images.patch_weights.unsqueeze(1) @ parts).squeeze(1)  # (B, 3 d)
        gate = torch.sigmoid(self.mlp(mean))  # Eq. 10
        gate = torch.where(images.mask.any(dim=1, keepdim=True), gate, 1.0)
        return MatchingGateOutput(gate, similarity, cosine.masked_fill(absent, 0.0) * exists)

    def _scores(self, products: torch.Tensor, cosine: torch.Tensor) -> torch.Tensor:
        """What the softmax of Eq. 8 is taken of."""
        if self.logit_scale is not None:
            return self.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp() * cosine
        return products * self.projection.out_features**-0.5 if self.similarity_function == "scaled_dot" else products

"""Visual prompts: prefixes of the text encoder computed from the layers of the vision encoder (Eq. 1-3, 5)."""

from typing import NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers.activations import ACT2FN

from .devices import on_device_of
from .prefix_attention import PrefixCache, PrefixProjection
from .region_weights import CROPS, REGIONS
from .tgdi_inputs import Images


def grid_pool(patches: torch.Tensor, rows: int, grid: int) -> torch.Tensor:
    r"""
    Averages the patches of an image in `grid × grid` cells; `grid=1` is the global average pooling of Eq. 1.

    Args:
        patches (`torch.Tensor`): `(N, n, d_v)`, row by row from the top left.
        rows (`int`): The number of rows of patches; divides n.
        grid (`int`): Cells per side.

    Returns:
        `torch.Tensor`: `(N, grid ** 2, d_v)`.
    """
    if grid == 1:
        return patches.mean(dim=1, keepdim=True)
    image = patches.transpose(1, 2).unflatten(2, (rows, -1))  # (N, d_v, rows, columns)
    return nn.functional.adaptive_avg_pool2d(image, grid).flatten(2).transpose(1, 2)


def vision_features(
    tower: PreTrainedModel, images: torch.Tensor, grid: int, object_features: str = CROPS
) -> torch.Tensor:
    r"""
    Computes everything that TGDI reads from images.

    Args:
        tower (`PreTrainedModel`): A vision encoder as `as_vision_tower` returns it.
        images (`torch.Tensor`): `(N, 3, H, W)`.
        grid (`int`): `prompt_grid`; with `"regions"` it has no effect.
        object_features (`str`, *optional*, defaults to `"crops"`): As in the configuration of the model.

    Returns:
        `torch.Tensor`: `(N, c · grid ** 2 + n, d_v)`: the pooled patches of each of the c hidden states, then the n
        patches of the last hidden state, without class and register tokens. With `"regions"` `(N, c · n, d_v)`: the
        patches of each hidden state, in which any box and grid can be read.

    Raises:
        ValueError: The encoder does not return every patch in every hidden state.
    """
    hidden_states = tower(images.to(tower.dtype), output_hidden_states=True, return_dict=True).hidden_states  # V_0, …
    rows, columns = (size // tower.config.patch_size for size in images.shape[-2:])
    shortest = min(states.shape[1] for states in hidden_states)
    if shortest < rows * columns:
        raise ValueError(
            f"The vision encoder of type {tower.config.model_type!r} returned {shortest} tokens for {rows} × {columns} "
            "patches; TGDI needs every patch in every hidden state."
        )
    patches = [states[:, -rows * columns :] for states in hidden_states]  # c of (N, n, d_v)
    if object_features == REGIONS:
        return torch.cat([on_device_of(states, patches[-1]) for states in patches], dim=1)
    pooled = [on_device_of(grid_pool(states, rows, grid), patches[-1]) for states in patches]
    return torch.cat([*pooled, patches[-1]], dim=1)


class VisualPromptsOutput(NamedTuple):
    r"""
    Args:
        prefix (`PrefixCache`): The S · G visual prompts per post and text layer.
        gates (`torch.Tensor`): g, the weight of each vision layer in each text layer, `(B, S, layers, c)`.
    """

    prefix: PrefixCache
    gates: torch.Tensor


class VisualPrompts(nn.Module):
    r"""
    Maps the pooled hidden states of all vision layers to one prefix per text layer.

    Each text layer has a gate that weighs the vision layers (Eq. 2, 3), so that low text layers can read low-level
    visual features, and high layers high-level ones.

    Args:
        config (`TGDIConfig`): The model's configuration.
    """

    def __init__(self, config):
        super().__init__()
        d, d_v = config.text_config.hidden_size, config.vision_config.hidden_size
        self.num_text_layers = config.text_config.num_hidden_layers
        self.num_heads = config.text_config.num_attention_heads
        num_vision_layers = config.vision_config.num_hidden_layers + 1
        # Hidden states of vision transformers differ by orders of magnitude between layers and channels.
        self.norm = nn.LayerNorm(d_v)
        self.mlp = nn.Sequential(nn.Linear(d_v, d), ACT2FN["gelu"], nn.Linear(d, d))
        # The 1 × 1 convolution of the paper is a linear map at every position.
        self.conv = nn.Linear(d, d)
        self.gate = nn.Linear(d, self.num_text_layers * num_vision_layers)
        self.activation = nn.LeakyReLU()
        self.prefix = PrefixProjection(d, self.num_text_layers)

    def forward(self, images: Images) -> VisualPromptsOutput:
        r"""
        Args:
            images (`Images`): R distinct images or regions in S slots of B posts.

        Returns:
            `VisualPromptsOutput`.
        """
        features = self.conv(self.mlp(self.norm(images.pooled)))  # Eq. 1: (R, c, G, d)
        scores = self.activation(self.gate(features.mean(dim=(1, 2))))  # Eq. 2
        gates = scores.unflatten(-1, (self.num_text_layers, -1)).softmax(dim=-1)  # Eq. 3: (R, layers, c)
        mixed = torch.einsum("nlc,ncgd->nlgd", gates, features)  # Ṽ_l: (R, layers, G, d)
        prefix = on_device_of(self.prefix(mixed), mixed)
        prompts = prefix[images.index].transpose(1, 2).flatten(2, 3)  # Eq. 5: (B, layers, S G, 2 d)
        mask = images.mask.repeat_interleave(mixed.shape[2], dim=1)  # (B, S G)
        return VisualPromptsOutput(PrefixCache(prompts, mask, self.num_heads), gates[images.index])

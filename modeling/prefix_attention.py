"""Prefix attention: prepends keys and values to those of an unmodified encoder (Eq. 5, 6, 13)."""

import inspect
from typing import Any

import torch
from torch import nn
from transformers import BertModel, Cache

from .devices import on_device_of

# The encoders' name of the cache argument: `cache` from transformers 5.24 on. They silently ignore any other name.
CACHE = "cache" if "cache" in inspect.signature(BertModel.forward).parameters else "past_key_values"


class PrefixProjection(nn.Module):
    r"""
    One linear map per layer from features to the keys and values of a prefix (Eq. 5): `[α_l^k, α_l^v] = Ṽ_l W_l^α`.

    Args:
        hidden_size (`int`): The width d of features and layers.
        num_layers (`int`): The number of layers with a prefix.
    """

    def __init__(self, hidden_size: int, num_layers: int):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(hidden_size, 2 * hidden_size) for _ in range(num_layers)])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        r"""
        Args:
            features (`torch.Tensor`): `(B, P, d)` for all layers, or `(B, layers, P, d)` with features per layer.

        Returns:
            `torch.Tensor`: Keys and values, concatenated, `(B, layers, P, 2 d)`.
        """
        parts = [features] * len(self.layers) if features.dim() == 3 else features.unbind(1)
        return torch.stack([on_device_of(layer(part), features) for layer, part in zip(self.layers, parts)], dim=1)


class PrefixCache(Cache):
    r"""
    A read-only cache that contains a prefix.

    The attention of BERT-shaped encoders attends to the keys and values that `update` of its cache returns. This cache
    returns the prefix of the layer followed by the layer's own keys and values, and stores nothing. Therefore one
    object serves the forward pass, recomputation under activation checkpointing, and the backward pass.

    Args:
        prefix (`torch.Tensor`): `(B, layers, P, 2 d)`, as `PrefixProjection` returns it.
        mask (`torch.Tensor`): `(B, P)`, nonzero where the prefix is visible.
        num_heads (`int`): The number of attention heads of the encoder.
        first_layer (`int`, *optional*, defaults to 0): Index of the encoder layer that reads the first prefix.
    """

    def __init__(self, prefix: torch.Tensor, mask: torch.Tensor, num_heads: int, first_layer: int = 0):
        super().__init__(layers=[])
        self.mask = mask
        self.first_layer = first_layer
        self.attentions: list[torch.Tensor] | None = None  # a list collects the weights, see `record_attentions`
        heads = prefix.unflatten(-1, (2, num_heads, -1))  # (B, layers, P, 2, heads, d_h)
        self.prefix_keys, self.prefix_values = heads.permute(3, 1, 0, 4, 2, 5)  # (layers, B, heads, P, d_h) each

    def weigh_values(self, weights: torch.Tensor) -> None:
        """Multiplies the prefix values of all layers and positions by `weights`, `(B, d)`."""
        heads = weights.unflatten(-1, (self.prefix_values.shape[2], -1))  # (B, heads, d_h)
        self.prefix_values = self.prefix_values * on_device_of(heads, self.prefix_values).unsqueeze(2)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args, **kwargs):
        layer = layer_idx - self.first_layer
        prefix_keys = on_device_of(self.prefix_keys[layer], key_states).to(key_states.dtype)
        prefix_values = on_device_of(self.prefix_values[layer], value_states).to(value_states.dtype)
        keys = torch.cat([prefix_keys, key_states], dim=2)  # (B, heads, P + L, d_h)
        return keys, torch.cat([prefix_values, value_states], dim=2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0  # the prefix does not shift the positions of the text


def attention_bias(
    mask: torch.Tensor,
    prefix: PrefixCache | None,
    dtype: torch.dtype,
    implementation: str,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    r"""
    Builds the four-dimensional attention mask of an encoder whose keys are a prefix followed by the text.

    Args:
        mask (`torch.Tensor`): `(B, L)`, nonzero at tokens and zero at padding.
        prefix (`PrefixCache`, *optional*): The prefix, P positions wide.
        dtype (`torch.dtype`): Dtype of the attention scores.
        implementation (`str`): `"eager"` adds the mask to the scores; other implementations take a boolean mask.
        weights (`torch.Tensor`, *optional*): Factors of the attention weights before their normalisation, `(B, P + L)`
            or, for each query, `(B, L, P + L)`; from 0 to 1, and above 0 for at least one key of each query.

    Returns:
        `torch.Tensor`: `(B, 1, L, P + L)`.
    """
    keys = mask.bool() if prefix is None else torch.cat([on_device_of(prefix.mask, mask).bool(), mask.bool()], dim=1)
    visible = keys[:, None, None, :].expand(-1, 1, mask.shape[1], -1)  # (B, 1, L, P + L)
    if weights is not None:
        factors = weights if weights.dim() == 3 else weights.unsqueeze(1)
        scores = on_device_of(factors, mask).to(dtype).log().unsqueeze(1).expand(visible.shape)
    elif implementation != "eager":
        return visible
    else:
        scores = torch.zeros(visible.shape, dtype=dtype, device=mask.device)
    return scores.masked_fill(~visible, torch.finfo(dtype).min)


def layers_of(text_encoder: Any) -> nn.ModuleList:
    """The layers of a BERT-shaped encoder."""
    return text_encoder.encoder.layer


def keep_prefix_when_checkpointing(layers: nn.ModuleList) -> None:
    """Marks `layers` as only reading their cache; activation checkpointing drops the cache of all other layers."""
    for layer in layers:
        layer._can_checkpoint_with_cache = True  # type: ignore[assignment]  # typed as a tensor or module


def record_attentions(layers: nn.ModuleList) -> None:
    r"""
    Makes the attention of `layers` append its weights to the `attentions` of the `PrefixCache` that it reads. Layers
    do not return their weights, and a cache belongs to one call, so that calls from several threads do not mix.
    """
    layer: Any
    for layer in layers:
        layer.attention.self.register_forward_hook(_record_attention, with_kwargs=True)


def _record_attention(module: nn.Module, args: tuple, kwargs: dict, output: tuple) -> None:
    prefix = kwargs.get(CACHE)
    if isinstance(prefix, PrefixCache) and prefix.attentions is not None:
        prefix.attentions.append(output[1])

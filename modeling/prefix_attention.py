"""Prefix attention: keys and values put in front of an encoder's own, without touching the encoder (Eq. 5, 6, 13)."""

import inspect

import torch
from torch import nn
from transformers import BertModel, Cache

from .tgdi_inputs import on_device_of

# What encoders call the cache: `cache` from transformers 5.24 on. They swallow an argument of another name silently.
CACHE = "cache" if "cache" in inspect.signature(BertModel.forward).parameters else "past_key_values"


class PrefixProjection(nn.Module):
    r"""
    One linear map a layer from features to the keys and values of a prefix (Eq. 5): `[α_l^k, α_l^v] = Ṽ_l W_l^α`.

    Args:
        hidden_size (`int`): The width d of features and layers.
        num_layers (`int`): How many layers get a prefix.
    """

    def __init__(self, hidden_size: int, num_layers: int):
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(hidden_size, 2 * hidden_size) for _ in range(num_layers)])

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        r"""
        Args:
            features (`torch.Tensor`): `(B, P, d)`, the same for every layer, or `(B, layers, P, d)`, each its own.

        Returns:
            `torch.Tensor`: `(B, layers, P, 2 d)`, keys and values side by side.
        """
        parts = [features] * len(self.layers) if features.dim() == 3 else features.unbind(1)
        return torch.stack([on_device_of(layer(part), features) for layer, part in zip(self.layers, parts)], dim=1)


class PrefixCache(Cache):
    r"""
    A read-only cache whose only content is a prefix.

    The attention of BERT-shaped encoders concatenates nothing itself: it attends to whatever `update` of its cache
    returns. This cache returns the prefix of the layer followed by the layer's own keys or values and stores
    nothing, so one object serves forward, recomputation under activation checkpointing, and backward alike.

    Args:
        prefix (`torch.Tensor`): `(B, layers, P, 2 d)`, as `PrefixProjection` returns it.
        mask (`torch.Tensor`): `(B, P)`, nonzero where there is a prefix.
        num_heads (`int`): Attention heads of the encoder.
        first_layer (`int`, *optional*, defaults to 0): Index of the encoder layer that the first prefix belongs to.
    """

    def __init__(self, prefix: torch.Tensor, mask: torch.Tensor, num_heads: int, first_layer: int = 0):
        super().__init__(layers=[])
        self.mask = mask
        self.first_layer = first_layer
        self.attentions: list[torch.Tensor] | None = None  # filled in by `record_attentions` once it is a list
        heads = prefix.unflatten(-1, (2, num_heads, -1))  # (B, layers, P, 2, heads, d_h)
        self.prefix_keys, self.prefix_values = heads.permute(3, 1, 0, 4, 2, 5)  # (layers, B, heads, P, d_h) each

    def weigh_values(self, weights: torch.Tensor) -> None:
        """Multiplies the values at every position and in every layer by `weights`, `(B, d)`."""
        heads = weights.unflatten(-1, (self.prefix_values.shape[2], -1))  # (B, heads, d_h)
        self.prefix_values = self.prefix_values * on_device_of(heads, self.prefix_values).unsqueeze(2)

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args, **kwargs):
        layer = layer_idx - self.first_layer
        prefix_keys = on_device_of(self.prefix_keys[layer], key_states).to(key_states.dtype)
        prefix_values = on_device_of(self.prefix_values[layer], value_states).to(value_states.dtype)
        keys = torch.cat([prefix_keys, key_states], dim=2)  # (B, heads, P + L, d_h)
        return keys, torch.cat([prefix_values, value_states], dim=2)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        return 0  # the text starts at position 0 whatever stands before it in the attention


def attention_bias(mask: torch.Tensor, prefix: PrefixCache | None, dtype: torch.dtype, implementation: str):
    r"""
    The four-dimensional mask of an encoder whose keys are a prefix and then the text.

    Args:
        mask (`torch.Tensor`): `(B, L)`, nonzero where there is a token.
        prefix (`PrefixCache`, *optional*): What stands before the text, P positions wide.
        dtype (`torch.dtype`): Type of the attention scores.
        implementation (`str`): `"eager"` adds the mask to the scores; the others take a boolean one.

    Returns:
        `torch.Tensor`: `(B, 1, L, P + L)`.
    """
    keys = mask.bool() if prefix is None else torch.cat([on_device_of(prefix.mask, mask).bool(), mask.bool()], dim=1)
    visible = keys[:, None, None, :].expand(-1, 1, mask.shape[1], -1)  # (B, 1, L, P + L)
    if implementation != "eager":
        return visible
    return torch.zeros(visible.shape, dtype=dtype, device=mask.device).masked_fill(~visible, torch.finfo(dtype).min)


def keep_prefix_when_checkpointing(layers: nn.ModuleList) -> None:
    """Activation checkpointing drops the cache of a layer unless the layer says that it only reads it."""
    for layer in layers:
        layer._can_checkpoint_with_cache = True


def record_attentions(layers: nn.ModuleList) -> None:
    r"""
    Makes the attention of `layers` write its weights into the `attentions` of the `PrefixCache` that it reads. A layer
    returns none; the cache belongs to one call, so that calls in several threads do not mix.
    """
    for layer in layers:
        layer.attention.self.register_forward_hook(_record_attention, with_kwargs=True)


def _record_attention(module: nn.Module, args: tuple, kwargs: dict, output: tuple) -> None:
    prefix = kwargs.get(CACHE)
    if isinstance(prefix, PrefixCache) and prefix.attentions is not None:
        prefix.attentions.append(output[1])

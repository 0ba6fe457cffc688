"""Text-Oriented Interaction: the text attends to the gated cross-modal states and to itself (Eq. 12-13)."""

from typing import Any, NamedTuple

import torch
from torch import nn
from transformers import PreTrainedModel

from .output_selection import keep_selected
from .prefix_attention import (
    CACHE,
    PrefixCache,
    PrefixProjection,
    attention_bias,
    keep_prefix_when_checkpointing,
    layers_of,
    record_attentions,
)


class EncoderReference:
    r"""
    Wraps a text encoder to pass it to a module. accelerate moves every argument that has a `to` method; the weights of
    the encoder have to stay where the hooks of its own layers load them from (another device, the CPU, a disk).

    Args:
        encoder (`PreTrainedModel`): The text encoder.
    """

    def __init__(self, encoder: PreTrainedModel):
        self.encoder = encoder


class TextOrientedOutput(NamedTuple):
    r"""
    The fields are `None` if the interaction is switched off.

    Args:
        last_hidden_state (`torch.Tensor`, *optional*): f_3, `(B, L, d)`.
        hidden_states (`tuple` of `torch.Tensor`, *optional*): `toi_num_layers + 1` of `(B, L, d)`; `None` in place of
            each state that is not requested.
        attentions (`tuple` of `torch.Tensor`, *optional*): `toi_num_layers` of `(B, heads, L, L_e + L)`.
    """

    last_hidden_state: torch.Tensor | None = None
    hidden_states: tuple[torch.Tensor | None, ...] | None = None
    attentions: tuple[torch.Tensor, ...] | None = None


class TextOrientedInteraction(nn.Module):
    r"""
    Layers of the text encoder's class. Their queries come from the text, and their keys and values are prefixed with
    projections of the gated states f_2.

    Args:
        config (`TGDIConfig`): The model's configuration.
        text_encoder (`PreTrainedModel`): Supplies the class and configuration of the layers.
    """

    def __init__(self, config, text_encoder: PreTrainedModel):
        super().__init__()
        self.num_layers = config.toi_num_layers
        self.num_heads = config.text_config.num_attention_heads
        self.prefix = PrefixProjection(config.text_config.hidden_size, self.num_layers)
        self.layers: nn.ModuleList | None = None
        if not config.toi_share_text_encoder:
            layer_class: Any = type(layers_of(text_encoder)[0])
            # The same config object as the encoder's, so that a switch of its attention implementation reaches them.
            self.layers = nn.ModuleList([layer_class(text_encoder.config, layer_idx=i) for i in range(self.num_layers)])
            keep_prefix_when_checkpointing(self.layers)
        record_attentions(layers_of(text_encoder)[-self.num_layers :] if self.layers is None else self.layers)

    def init_from(self, text_encoder: PreTrainedModel) -> None:
        r"""
        Initialises the module from the top layers of `text_encoder`. Unshared layers start as copies, and each prefix
        projection as the key and value projections of its layer. A random projection would draw attention to noise;
        this one lets a layer attend to f_2 from the start as it attends to text.
        """
        sources = layers_of(text_encoder)[-self.num_layers :]
        source: Any
        for projection, source in zip(self.prefix.layers, sources):
            attention = source.attention.self
            for name in ("weight", "bias"):
                both = torch.cat([getattr(attention.key, name), getattr(attention.value, name)])
                getattr(projection, name).data.copy_(both)
        if self.layers is not None:
            for layer, source in zip(self.layers, sources):
                layer.load_state_dict(source.state_dict())

    def forward(
        self,
        text: torch.Tensor,
        mask: torch.Tensor,
        gated: torch.Tensor,
        gated_mask: torch.Tensor,
        reference: EncoderReference,
        output_hidden_states: bool | list[int] = False,
        output_attentions: bool = False,
    ) -> TextOrientedOutput:
        r"""
        Args:
            text (`torch.Tensor`): H_s, `(B, L, d)`.
            mask (`torch.Tensor`): `(B, L)`.
            gated (`torch.Tensor`): f_2, `(B, L_e, d)`.
            gated_mask (`torch.Tensor`): `(B, L_e)`.
            reference (`EncoderReference`): The text encoder, which owns the layers if they are shared.
            output_hidden_states (`bool` or `list[int]`, *optional*): As `selected_layers` returns it.
            output_attentions (`bool`, *optional*): Whether to return the attention weights.

        Returns:
            `TextOrientedOutput`.
        """
        text_encoder = reference.encoder
        layers = self.layers if self.layers is not None else layers_of(text_encoder)[-self.num_layers :]
        first_layer = 0 if self.layers is not None else len(layers_of(text_encoder)) - self.num_layers
        prefix = PrefixCache(self.prefix(gated), gated_mask, self.num_heads, first_layer)  # {β_l^k, β_l^v}
        bias = attention_bias(mask, prefix, text.dtype, text_encoder.config._attn_implementation)
        prefix.attentions = [] if output_attentions else None
        hidden_states: tuple[torch.Tensor, ...] = (text,)
        for layer in layers:
            text = layer(text, bias, **{CACHE: prefix})  # Eq. 12, 13
            hidden_states += (text,)
        # Activation checkpointing runs the layers again in the backward pass, which must not record attentions.
        attentions, prefix.attentions = prefix.attentions, None
        return TextOrientedOutput(
            text,
            keep_selected(hidden_states, output_hidden_states),
            None if attentions is None else tuple(attentions),
        )

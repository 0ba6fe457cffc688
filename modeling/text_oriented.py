"""Text-Oriented Interaction: the text reads the gated fusion and corrects it (Eq. 12-13)."""

import torch
from torch import nn

from .output_selection import keep_selected
from .prefix_attention import (
    CACHE,
    PrefixCache,
    PrefixProjection,
    attention_bias,
    keep_prefix_when_checkpointing,
    record_attentions,
)


class EncoderReference:
    r"""
    A text encoder as an argument of a module. accelerate moves every argument that has a `to`; an encoder has, but its
    weights stay where its own layers fetch them from (another device, the CPU, a disk).

    Args:
        encoder (`PreTrainedModel`): What is referred to.
    """

    def __init__(self, encoder: nn.Module):
        self.encoder = encoder


class TextOrientedInteraction(nn.Module):
    r"""
    Layers of the text encoder's kind whose queries come from the text and whose keys and values are prefixed with the
    gated fusion f_2.

    Args:
        config (`TGDIConfig`): The model's configuration.
        text_encoder (`PreTrainedModel`): Gives the class and configuration of the layers.
    """

    def __init__(self, config, text_encoder: nn.Module):
        super().__init__()
        self.num_layers = config.toi_num_layers
        self.num_heads = config.text_config.num_attention_heads
        self.prefix = PrefixProjection(config.text_config.hidden_size, self.num_layers)
        self.layers = None
        if not config.toi_share_text_encoder:
            layer_class = type(text_encoder.encoder.layer[0])
            # The encoder's own config object: a later switch of its attention implementation reaches these layers.
            self.layers = nn.ModuleList([layer_class(text_encoder.config, layer_idx=i) for i in range(self.num_layers)])
            keep_prefix_when_checkpointing(self.layers)
        record_attentions(text_encoder.encoder.layer[-self.num_layers :] if self.layers is None else self.layers)

    def init_from(self, text_encoder: nn.Module) -> None:
        r"""
        Starts from the top layers of `text_encoder`: layers of its own as copies of them, and each prefix as the keys
        and values that the layer itself would make of f_2. Random ones would draw attention to noise; with these, a
        layer begins by attending to the fused text as it has learned to attend to text.
        """
        sources = text_encoder.encoder.layer[-self.num_layers :]
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
    ) -> tuple[torch.Tensor, tuple[torch.Tensor, ...] | None, tuple[torch.Tensor, ...] | None]:
        r"""
        Args:
            text (`torch.Tensor`): H_s, `(B, L, d)`.
            mask (`torch.Tensor`): `(B, L)`.
            gated (`torch.Tensor`): f_2, `(B, L_e, d)`.
            gated_mask (`torch.Tensor`): `(B, L_e)`.
            reference (`EncoderReference`): To the text encoder, owner of the layers when they are shared.
            output_hidden_states (`bool` or `list[int]`, *optional*): As `selected_layers` returns it.
            output_attentions (`bool`, *optional*): Whether to return the attention weights.

        Returns:
            `tuple`: f_3 `(B, L, d)`, and on request the hidden states (`toi_num_layers + 1` of `(B, L, d)`) and
            attentions (`toi_num_layers` of `(B, heads, L, L_e + L)`).
        """
        text_encoder = reference.encoder
        layers = self.layers if self.layers is not None else text_encoder.encoder.layer[-self.num_layers :]
        first_layer = 0 if self.layers is not None else len(text_encoder.encoder.layer) - self.num_layers
        prefix = PrefixCache(self.prefix(gated), gated_mask, self.num_heads, first_layer)  # {β_l^k, β_l^v}
        bias = attention_bias(mask, prefix, text.dtype, text_encoder.config._attn_implementation)
        prefix.attentions = [] if output_attentions else None
        hidden_states = (text,)
        for layer in layers:
            text = layer(text, bias, **{CACHE: prefix})  # Eq. 12, 13
            hidden_states += (text,)
        # Activation checkpointing runs the layers again in the backward pass, when nobody asks for their weights.
        attentions, prefix.attentions = prefix.attentions, None
        return (
            text,
            keep_selected(hidden_states, output_hidden_states),
            tuple(attentions) if output_attentions else None,
        )

"""Encoding one of the two texts of a batch with the text encoder, with or without visual prompts (Eq. 4, 6)."""

from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from .output_selection import OutputOptions, keep_selected
from .prefix_attention import CACHE, PrefixCache, attention_bias
from .tgdi_inputs import TextInputs


class EncodedText(NamedTuple):
    r"""
    Args:
        last_hidden_state (`torch.Tensor`): `(B, L, d)`.
        hidden_states (`tuple` of `torch.Tensor`, *optional*): `layers + 1` of `(B, L, d)`; `None` in place of each
            state that is not requested.
        attentions (`tuple` of `torch.Tensor`, *optional*): `layers` of `(B, heads, L, P + L)`.
    """

    last_hidden_state: torch.Tensor
    hidden_states: tuple[torch.Tensor | None, ...] | None
    attentions: tuple[torch.Tensor, ...] | None


def encode_text(
    text_encoder: PreTrainedModel,
    text: TextInputs,
    prefix: PrefixCache | None,
    config,
    dtype: torch.dtype,
    outputs: OutputOptions,
    key_weights: torch.Tensor | None = None,
) -> EncodedText:
    r"""
    Args:
        text_encoder (`PreTrainedModel`): The encoder of the model.
        text (`TextInputs`): T or T_e, B rows of L tokens.
        prefix (`PrefixCache`, *optional*): Keys and values in front of those of every layer.
        config (`TGDIConfig`): The model's configuration.
        dtype (`torch.dtype`): The model's dtype.
        outputs (`OutputOptions`): Which hidden states and attention weights to return.
        key_weights (`torch.Tensor`, *optional*): See `attention_bias`.

    Returns:
        `EncodedText`.

    Raises:
        ValueError: The text is longer than the encoder has positions for.
    """
    length = text.mask.shape[1]
    if length > config.max_text_length:
        raise ValueError(
            f"A text has {length} tokens; this text encoder has positions for {config.max_text_length}. Set "
            f"`max_length={config.max_text_length}` in the processor."
        )
    encoded = text_encoder(
        input_ids=text.ids,
        inputs_embeds=None if text.embeds is None else text.embeds.to(dtype),
        position_ids=_position_ids(text, config.position_offset),
        # An encoder without segments embeds a single one, even if its tokenizer returns more.
        token_type_ids=text.types if config.text_config.type_vocab_size > 1 else None,
        attention_mask=attention_bias(text.mask, prefix, dtype, text_encoder.config._attn_implementation, key_weights),
        return_dict=True,
        **{CACHE: prefix},
        **outputs,
    )
    # The lowest supported version of transformers returns all hidden states for a list of indices.
    hidden_states = keep_selected(encoded.hidden_states, outputs.get("output_hidden_states", False))
    return EncodedText(encoded.last_hidden_state, hidden_states, encoded.attentions)


def _position_ids(text: TextInputs, offset: int) -> torch.Tensor | None:
    """
    RoBERTa-style encoders derive positions from the padding among the token ids, which embeddings do not show; their
    positions, `(B, L)`, come from the mask instead.
    """
    if text.embeds is None or offset == 0:
        return None
    tokens = text.mask.bool().long()
    return tokens.cumsum(dim=1) * tokens + offset - 1

"""MKGformer-style multi-level fusion (Chen et al., SIGIR 2022): prefix-guided interaction, correlation-aware fusion."""

import torch
from torch import nn

from tgdi_hf.modeling.devices import on_device_of
from tgdi_hf.modeling.prefix_attention import attention_bias

from .baseline import Baseline


class PrefixGuidedInteraction(nn.Module):
    """Patches attend to all patches of their post and to its text."""

    def __init__(self, d: int, num_heads: int):
        super().__init__()
        self.attention = nn.MultiheadAttention(d, num_heads, batch_first=True)
        self.norm = nn.LayerNorm(d)

    def forward(self, patches: torch.Tensor, there: torch.Tensor, text: torch.Tensor, mask: torch.Tensor):
        keys = torch.cat([patches, text], dim=1)
        hidden = ~torch.cat([there, mask.bool()], dim=1)
        return self.norm(patches + self.attention(patches, keys, keys, key_padding_mask=hidden, need_weights=False)[0])


class CorrelationAwareFusion(nn.Module):
    """Adds patches, weighted by their correlation with a token, to the hidden units of its feed-forward layer."""

    def __init__(self, d: int, hidden_size: int):
        super().__init__()
        self.dense = nn.Linear(d, hidden_size)

    def forward(self, text: torch.Tensor, patches: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        scores = text @ patches.mT  # (B, L, S n)
        shares = scores.masked_fill(~there[:, None, :], torch.finfo(scores.dtype).min).softmax(dim=-1)
        some = there.any(dim=1)[:, None, None]  # zero for a post without image
        return (self.dense(shares @ patches)).masked_fill(~some, 0.0)


class MKGformerForRelationExtraction(Baseline):
    r"""
    Lower text layers read text alone. In the top ones (`num_fusion_layers`, the paper's M-Encoder) the patches of the
    last vision layer attend to the text, and the text's feed-forward layers receive the patches.
    """

    def __init__(self, config):
        super().__init__(config)
        text, layers = config.text_config, config.num_fusion_layers
        d = text.hidden_size
        if not 1 <= layers <= text.num_hidden_layers:
            raise ValueError(
                f"`num_fusion_layers` is {layers}; expected 1 to {text.num_hidden_layers}, the text encoder's layers."
            )
        self.norm = nn.LayerNorm(config.vision_config.hidden_size)
        self.projection = nn.Linear(config.vision_config.hidden_size, d)
        self.interactions = nn.ModuleList([PrefixGuidedInteraction(d, text.num_attention_heads) for _ in range(layers)])
        self.fusions = nn.ModuleList([CorrelationAwareFusion(d, text.intermediate_size) for _ in range(layers)])
        self.post_init()

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        bias = attention_bias(mask, None, self.dtype, self.text_encoder.config._attn_implementation)
        if images is None:
            return self.text_encoder(input_ids=ids, attention_mask=bias, token_type_ids=types).last_hidden_state
        tokens = self.projection(self.norm(images.maps[-1].flatten(2).mT))  # (N, n, d)
        patches, there = images.tokens_of_posts(tokens)  # (B, S n, d)
        text = self.text_encoder.embeddings(input_ids=ids, token_type_ids=types)
        if hasattr(self.text_encoder, "embeddings_project"):  # ELECTRA's embeddings may be narrower
            text = self.text_encoder.embeddings_project(text)
        layers = self.text_encoder.encoder.layer
        for layer in layers[: -len(self.fusions)]:
            text = layer(text, bias)
        for layer, interaction, fusion in zip(layers[-len(self.fusions) :], self.interactions, self.fusions):
            patches = interaction(patches, there, text, mask)
            attended = layer.attention(text, bias)[0]
            hidden = layer.intermediate.dense(attended)
            hidden = hidden + on_device_of(fusion(attended, patches, there), hidden)
            text = layer.output(layer.intermediate.intermediate_act_fn(hidden), attended)
        return text

"""IFAformer-style dual transformer (Li et al., AAAI 2023): text layers attend to the image tokens at their depth."""

import torch
from torch import nn

from tgdi_hf.modeling.prefix_attention import CACHE, PrefixCache, PrefixProjection, attention_bias

from .baseline import Baseline, VisualLevels


class AlignedLayers(nn.Module):
    r"""
    Two aligned transformers: keys and values of all patches of the vision layer at the same depth are prepended to
    those of each text layer. Unlike HVPNeT, nothing is pooled or gated: attention alone aligns patches and words.

    Args:
        config (`BaselineConfig`): The model's configuration; a vision transformer.
    """

    def __init__(self, config):
        super().__init__()
        d, layers = config.text_config.hidden_size, config.text_config.num_hidden_layers
        self.num_heads = config.text_config.num_attention_heads
        # Text layer l of L attends to vision layer round(l · V / L): with twelve of each, the layer at the same depth.
        self.depths = [round(i * config.vision_config.num_hidden_layers / layers) for i in range(1, layers + 1)]
        self.norms = nn.ModuleList([nn.LayerNorm(config.vision_config.hidden_size) for _ in range(layers)])
        self.projections = nn.ModuleList([nn.Linear(config.vision_config.hidden_size, d) for _ in range(layers)])
        self.prefix = PrefixProjection(d, layers)

    def forward(self, images: VisualLevels) -> PrefixCache:
        patches = [images.maps[depth].flatten(2).mT for depth in self.depths]  # (N, n, d_v) each
        tokens = [projection(norm(x)) for x, norm, projection in zip(patches, self.norms, self.projections)]
        prefix, mask = images.tokens_of_posts(self.prefix(torch.stack(tokens, dim=1)))  # (B, layers, S n, 2 d)
        return PrefixCache(prefix, mask, self.num_heads)


class IFAformerForRelationExtraction(Baseline):
    """Text and images in two transformers, aligned layer by layer."""

    def __init__(self, config):
        super().__init__(config)
        self.aligned = AlignedLayers(config)
        self.post_init()

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        prefix = None if images is None else self.aligned(images)
        bias = attention_bias(mask, prefix, self.dtype, self.text_encoder.config._attn_implementation)
        return self.text_encoder(
            input_ids=ids, attention_mask=bias, token_type_ids=types, **{CACHE: prefix}
        ).last_hidden_state

"""HVPNeT-style hierarchical visual prefix (Chen et al., Findings of NAACL 2022)."""

import torch
from torch import nn

from tgdi_hf.modeling.prefix_attention import CACHE, PrefixCache, PrefixProjection, attention_bias

from .baseline import Baseline, VisualLevels, level_widths

GRID = 2  # each layer of the vision encoder yields 2 × 2 tokens per image


class VisualPyramid(nn.Module):
    r"""
    From the layers of the vision encoder to a prefix for each layer of the text encoder.

    Each vision layer is pooled to 2 × 2 tokens and projected to the width of the text; a gate per text layer, computed
    from the mean over all tokens, weighs the vision layers (the paper's dynamic gates); one linear map per text layer
    yields keys and values.

    Args:
        config (`BaselineConfig`): The model's configuration.
    """

    def __init__(self, config):
        super().__init__()
        d, self.num_text_layers = config.text_config.hidden_size, config.text_config.num_hidden_layers
        self.num_heads = config.text_config.num_attention_heads
        widths = level_widths(config.vision_config)
        # Hidden states of vision transformers differ by orders of magnitude between layers and channels.
        self.norms = nn.ModuleList([nn.LayerNorm(width) for width in widths])
        self.projections = nn.ModuleList([nn.Linear(width, d) for width in widths])
        self.gate = nn.Linear(d, self.num_text_layers * len(widths))
        self.activation = nn.LeakyReLU()
        self.prefix = PrefixProjection(d, self.num_text_layers)

    def forward(self, images: VisualLevels) -> PrefixCache:
        pooled = [nn.functional.adaptive_avg_pool2d(level, GRID).flatten(2).mT for level in images.maps]
        tokens = [projection(norm(x)) for x, norm, projection in zip(pooled, self.norms, self.projections)]
        levels = torch.stack(tokens, dim=1)  # (N, c, 4, d)
        scores = self.activation(self.gate(levels.mean(dim=(1, 2))))
        gates = scores.unflatten(-1, (self.num_text_layers, -1)).softmax(dim=-1)  # (N, layers, c)
        mixed = torch.einsum("nlc,ncgd->nlgd", gates, levels)  # (N, layers, 4, d)
        prefix, mask = images.tokens_of_posts(self.prefix(mixed))  # (B, layers, 4 S, 2 d)
        return PrefixCache(prefix, mask, self.num_heads)


class HVPNeTForRelationExtraction(Baseline):
    """Text layers attend to a visual prefix, computed by a ResNet or a vision transformer."""

    reads_resnet = True

    def __init__(self, config):
        super().__init__(config)
        self.pyramid = VisualPyramid(config)
        self.post_init()

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        prefix = None if images is None else self.pyramid(images)
        bias = attention_bias(mask, prefix, self.dtype, self.text_encoder.config._attn_implementation)
        return self.text_encoder(
            input_ids=ids, attention_mask=bias, token_type_ids=types, **{CACHE: prefix}
        ).last_hidden_state

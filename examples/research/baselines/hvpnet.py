"""HVPNeT: hierarchical visual prefix (Chen et al., Findings of NAACL 2022)."""

import torch
from torch import nn

from tgdi_hf.modeling.prefix_attention import CACHE, PrefixCache, attention_bias

from .baseline import Baseline, VisualLevels, level_widths

GRID = 2  # every level of the vision encoder is pooled to 2 × 2 positions
PARTS = 4  # alternative keys and values per position, between which each text layer chooses


def levels_of(vision_config) -> list[int]:
    r"""
    The hidden states that serve as levels: the stages of a ResNet, without its stem; four evenly spaced layers of a
    vision transformer (3, 6, 9 and 12 of 12), or all of them if it has fewer than four.
    """
    if vision_config.model_type == "resnet":
        return list(range(1, 1 + len(vision_config.hidden_sizes)))
    layers = vision_config.num_hidden_layers
    levels = min(4, layers)
    return [k * layers // levels for k in range(1, levels + 1)]


class VisualPyramid(nn.Module):
    r"""
    From the levels of the vision encoder to keys and values for each layer of the text encoder.

    The levels are concatenated per position of the 2 × 2 grid (3,840 channels for a ResNet-50), and a network with one
    hidden layer of `prefix_size` units turns each position into four candidates for keys and values. The gates of a
    text layer (the paper's dynamic gates: LeakyReLU, softmax over the candidates) weigh the candidates of an image; the
    weighted sum enters the attention of that layer as it is.

    Where paper and release leave room: the gates read the mean over the candidates at all four positions, as in the
    release (the paper averages over positions, too). A position keeps its own channels, and an attention head its own
    columns; the release reshapes both tensors without transposing, which mixes them. The last stage of a ResNet, 7 × 7,
    is pooled adaptively; the release drops its last row and column. The hidden states of a vision transformer differ by
    orders of magnitude between layers and channels, so that each of its levels has a LayerNorm; a ResNet's do not need
    one.

    Args:
        config (`BaselineConfig`): The model's configuration.
    """

    def __init__(self, config):
        super().__init__()
        d, self.num_text_layers = config.text_config.hidden_size, config.text_config.num_hidden_layers
        self.num_heads = config.text_config.num_attention_heads
        self.levels = levels_of(config.vision_config)
        widths = [level_widths(config.vision_config)[level] for level in self.levels]
        is_resnet = config.vision_config.model_type == "resnet"
        self.norms = nn.ModuleList([nn.Identity() if is_resnet else nn.LayerNorm(width) for width in widths])
        self.projection = nn.Sequential(
            nn.Linear(sum(widths), config.prefix_size), nn.Tanh(), nn.Linear(config.prefix_size, PARTS * 2 * d)
        )
        self.gates = nn.Linear(GRID**2 * 2 * d, self.num_text_layers * PARTS)  # those of all text layers
        self.activation = nn.LeakyReLU()

    def forward(self, images: VisualLevels) -> PrefixCache:
        maps = [images.maps[level] for level in self.levels]
        pooled = [nn.functional.adaptive_avg_pool2d(level, GRID).flatten(2).mT for level in maps]  # (N, 4, C) each
        positions = torch.cat([norm(level) for norm, level in zip(self.norms, pooled)], dim=-1)  # (N, 4, ΣC)
        parts = self.projection(positions).unflatten(-1, (PARTS, -1))  # (N, 4, parts, 2 d)
        scores = self.activation(self.gates(parts.mean(dim=2).flatten(1)))  # (N, layers · parts)
        gates = scores.unflatten(-1, (self.num_text_layers, PARTS)).softmax(dim=-1)
        prefix = torch.einsum("nlp,ngpw->nlgw", gates, parts)  # (N, layers, 4, 2 d)
        prefix, mask = images.tokens_of_posts(prefix)  # (B, layers, 4 S, 2 d)
        return PrefixCache(prefix, mask, self.num_heads)


class HVPNeTForRelationExtraction(Baseline):
    r"""
    Text layers attend to a visual prefix, computed by a ResNet or a vision transformer. Slots without image are masked;
    in the release, the text attends to zero images in their place, whose number depends on the label.
    """

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

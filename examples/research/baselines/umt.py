"""UMT: a unified multimodal transformer (Yu et al., ACL 2020), whose entity recognizer reads relations here."""

import torch
from torch import nn

from tgdi_hf.modeling.devices import on_device_of

from .baseline import Baseline, level_widths
from .cross_layer import CrossLayer

GRID = 7  # the image is a grid of 7 × 7 tokens, as ResNet and CLIP B/32 have at 224 pixels


class UMTForRelationExtraction(Baseline):
    r"""
    Text and image read each other: the words attend to the image, the image to the words and the words to that image,
    and a gate per word and channel weighs the image.

    Our reading: UMT labels words, so the states at the two opening markers are our head; the image tokens are
    normalised, since the last states of a vision transformer differ by orders of magnitude between channels. The
    auxiliary loss on entity spans is left out: the markers give the spans away.

    Args:
        config (`BaselineConfig`): Configuration of the model; a ResNet or a vision transformer.
    """

    reads_objects = False
    reads_resnet = True

    def __init__(self, config):
        super().__init__(config)
        d, width = config.text_config.hidden_size, level_widths(config.vision_config)[-1]
        self.norm = nn.LayerNorm(width)
        self.to_text = nn.Linear(width, d)  # U, which the words attend to
        self.to_queries = nn.Linear(width, d)  # U', which attends to the words
        self.state_dropout = nn.Dropout(config.text_config.hidden_dropout_prob)
        self.text_layer = CrossLayer(config.text_config)
        self.image_aware_words = CrossLayer(config.text_config)
        self.word_aware_image = CrossLayer(config.text_config)
        self.word_aware_words = CrossLayer(config.text_config)
        self.gate = nn.Linear(2 * d, d)
        self.post_init()

    @property
    def classifier_width(self) -> int:
        return 4 * self.config.text_config.hidden_size

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        """`(B, L, 2 d)`: the words, and what the gate lets through of the image."""
        h = self.text_encoder(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
        h = self.state_dropout(h)
        r = self.text_layer(h, h, mask)  # (B, L, d)
        if images is None:
            q, a = r, torch.zeros_like(r)
        else:
            grid = nn.functional.adaptive_avg_pool2d(images.maps[-1], GRID).flatten(2).mT
            grid = self.norm(grid)  # (N, 49, d_v)
            index, there = on_device_of(images.index[:, 0], grid), on_device_of(images.mask[:, 0, None, None], r)
            everything = images.mask[:, :1].expand(-1, GRID**2)
            a = self.image_aware_words(r, self.to_text(grid)[index], everything).masked_fill(~there, 0.0)
            p = self.word_aware_image(self.to_queries(grid)[index], r, mask)  # (B, 49, d)
            q = torch.where(there, self.word_aware_words(r, p, everything), r)  # (B, L, d)
        gate = self.gate(torch.cat([q, a], dim=-1)).sigmoid()
        return torch.cat([q, gate * a], dim=-1)

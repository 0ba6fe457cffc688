"""IFAformer (Li et al., AAAI 2023): two transformers whose layers attend to each other's keys and values."""

from math import floor

import torch
from torch import nn

from tgdi_hf.modeling.prefix_attention import CACHE, attention_bias, layers_of

from .joint_layers import JointBaseline, KeyValueExchange, KeyValueProjection, key_mask


def aligned_layers(num_text_layers: int, num_vision_layers: int) -> list[list[int]]:
    r"""
    The text layers beside each vision layer, counted from 0: text layer l of L (from 1) is beside vision layer
    `max(1, round(l V / L))` of V, halves rounded up. With as many layers in both, each is beside the one at its depth.
    """
    beside: list[list[int]] = [[] for _ in range(num_vision_layers)]
    for i in range(num_text_layers):
        depth = floor((i + 1) * num_vision_layers / num_text_layers + 0.5)
        beside[max(1, depth) - 1].append(i)
    return beside


class IFAformerForRelationExtraction(JointBaseline):
    r"""
    Each text layer attends to the images and to itself, and each vision layer to the text and to itself, by the keys
    and values that the layers beside each other compute from their inputs (the paper's implicit feature alignment).

    The last vision layer yields keys and values only: nothing reads its output, and the rest of it is not trained. The
    paper's released code instead takes visual keys as values, adds 1 to visual scores, masks no padding where images
    read the text, and starts from embeddings that are cut into heads: not copied. Ours: maps between encoders of
    different widths; with different depths, `aligned_layers` (several text layers may read one vision layer, which
    reads the last of them, and a vision layer beside none reads only itself); and images that do not attend to each
    other, see `JointBaseline`.
    """

    def __init__(self, config):
        super().__init__(config)
        layers, width = self.vision_layers, config.text_config.hidden_size
        self.beside = aligned_layers(config.text_config.num_hidden_layers, len(layers))
        joint = [i for i, readers in enumerate(self.beside) if readers]
        self.num_lower_layers = joint[0]
        self.visual_prefixes = nn.ModuleDict(
            {str(i): KeyValueProjection(self.key_width(layers[i]), width) for i in joint}
        )
        self.text_prefixes = nn.ModuleDict(
            {str(i): KeyValueProjection(width, self.key_width(layers[i])) for i in joint[:-1]}
        )
        for i in joint[:-1]:
            self.read_text(layers[i])
        self.post_init()
        self.train(self.training)  # excludes what is not read

    def unread_parameters(self) -> list[nn.Parameter]:
        read = (self.family.norm, f"{self.family.attention}.k_proj", f"{self.family.attention}.v_proj")
        last = self.vision_layers[-1].named_parameters()
        return super().unread_parameters() + [parameter for name, parameter in last if not name.startswith(read)]

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        implementation = self.text_encoder.config._attn_implementation
        if images is None:
            bias = attention_bias(mask, None, self.dtype, implementation)
            return self.text_encoder(input_ids=ids, attention_mask=bias, token_type_ids=types).last_hidden_state
        text, text_layers = self.embed_text(ids, types), layers_of(self.text_encoder)
        visual, slots = self.tokens_of_slots(images), images.mask.shape[1]  # (B S, n, d_v)
        there = images.mask.repeat_interleave(visual.shape[1], dim=1)  # (B, S n)
        bias = key_mask(there, mask, dtype=self.dtype, implementation=implementation)  # (B, 1, 1, S n + L)
        vision_bias = self.vision_mask(visual, mask, slots)  # (B S, 1, 1, L + n)
        for i in range(self.num_lower_layers, len(self.beside)):
            layer, exchange = self.vision_layers[i], KeyValueExchange()
            if not self.beside[i]:
                visual = layer(visual, None)
                continue
            own = self.keys_and_values(layer, visual)
            read = self.visual_prefixes[str(i)](own).of_posts(images.mask)  # (B, S n, d)
            for j in self.beside[i]:
                exchange = KeyValueExchange(read)
                text = text_layers[j](text, bias, **{CACHE: exchange})
            if str(i) in self.text_prefixes:  # all but the last
                read = self.text_prefixes[str(i)](exchange.own).per_slot(slots)  # (B S, L, d_v)
                visual = layer(visual, vision_bias, text=read, own=own)
        return text

"""MKGformer (Chen et al., SIGIR 2022): prefix-guided interaction and correlation-aware fusion in the top layers."""

import torch
from torch import nn

from tgdi_hf.modeling.devices import on_device_of
from tgdi_hf.modeling.prefix_attention import CACHE, attention_bias, layers_of

from .joint_layers import JointBaseline, KeyValueExchange, KeyValueProjection, key_mask, of_posts

NUM_FUSION_LAYERS = 4  # of 12 in the paper


def num_fusion_layers(config) -> int:
    r"""
    The number of joint layers at the top of both encoders.

    Raises:
        ValueError: More than an encoder has. The first joint vision layer reads the text layer before, so that the text
            encoder has one layer more than are joint.
    """
    text, vision = config.text_config.num_hidden_layers, config.vision_config.num_hidden_layers
    most = min(text - 1, vision)
    number = min(NUM_FUSION_LAYERS, most) if config.num_fusion_layers is None else config.num_fusion_layers
    if not 1 <= number <= most:
        raise ValueError(
            f"`num_fusion_layers` is {number}; expected 1 to {most}: the vision encoder has {vision} layers, and the "
            f"text encoder {text}, of which the first joint vision layer reads the one before the joint ones."
        )
    return number


class CorrelationAwareFusion(nn.Module):
    r"""
    What a text layer adds to the hidden units of its feed-forward network: a projection of the tokens of the images,
    weighted by the softmax of their products with the token of the text (the paper's correlation-aware fusion module).

    Args:
        width (`int`): Width of the text.
        vision_width (`int`): Width of the images; if it differs, they are projected first, which is ours.
        hidden_size (`int`): Number of hidden units.
    """

    def __init__(self, width: int, vision_width: int, hidden_size: int):
        super().__init__()
        self.projection = nn.Identity() if vision_width == width else nn.Linear(vision_width, width)
        self.dense = nn.Linear(width, hidden_size)

    def forward(self, context: torch.Tensor, visual: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        r"""
        Args:
            context (`torch.Tensor`): What the text layer attended to, before its output projection, `(B, L, d)`.
            visual (`torch.Tensor`): Tokens of all images of a post, `(B, S n, d_v)`.
            there (`torch.Tensor`): `(B, S n)`, true for tokens of an image and false for those of an empty slot.

        Returns:
            `torch.Tensor`: `(B, L, hidden units)`; zeros for a post without image.
        """
        visual = self.projection(visual)
        scores = context @ on_device_of(visual, context).mT  # (B, L, S n), not scaled
        hidden = ~on_device_of(there, scores)
        shares = scores.masked_fill(hidden[:, None, :], torch.finfo(scores.dtype).min).softmax(-1, dtype=torch.float32)
        fused = self.dense(shares.to(visual.dtype) @ on_device_of(visual, shares))
        return fused.masked_fill(on_device_of(hidden.all(dim=1), fused)[:, None, None], 0.0)


class MKGformerForRelationExtraction(JointBaseline):
    r"""
    The lower layers of both encoders run apart. The top `num_fusion_layers` run jointly (the paper's M-Encoder): a
    vision layer attends to the keys and values of the text layer before and to itself (prefix-guided interaction), and
    the feed-forward network of the text layer beside it receives its output (correlation-aware fusion).

    Ours: the maps between encoders of different widths; images that do not attend to each other, see `JointBaseline`;
    and the mask of padding in the text that images read, which the original lacks.
    """

    def __init__(self, config):
        super().__init__(config)
        text, number = config.text_config, num_fusion_layers(config)
        self.num_lower_layers = config.vision_config.num_hidden_layers - number
        self.prefixes, self.fusions = nn.ModuleList(), nn.ModuleList()
        for layer in self.vision_layers[self.num_lower_layers :]:
            self.prefixes.append(KeyValueProjection(text.hidden_size, self.key_width(layer)))
            self.fusions.append(
                CorrelationAwareFusion(text.hidden_size, config.vision_config.hidden_size, text.intermediate_size)
            )
            self.read_text(layer)
        self.post_init()

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        implementation = self.text_encoder.config._attn_implementation
        if images is None:
            bias = attention_bias(mask, None, self.dtype, implementation)
            return self.text_encoder(input_ids=ids, attention_mask=bias, token_type_ids=types).last_hidden_state
        bias = key_mask(mask, dtype=self.dtype, implementation=implementation)  # (B, 1, 1, L)
        slots, number = images.mask.shape[1], len(self.fusions)
        text, layers, exchange = self.embed_text(ids, types), layers_of(self.text_encoder), KeyValueExchange()
        for layer in layers[: -number - 1]:
            text = layer(text, bias)
        text = layers[-number - 1](text, bias, **{CACHE: exchange})
        visual = self.tokens_of_slots(images)  # (B S, n, d_v)
        vision_bias = self.vision_mask(visual, mask, slots)
        there = images.mask.repeat_interleave(visual.shape[1], dim=1)  # (B, S n)
        joint = zip(layers[-number:], self.vision_layers[-number:], self.prefixes, self.fusions)
        for layer, vision_layer, prefix, fusion in joint:
            visual = vision_layer(visual, vision_bias, text=prefix(exchange.own).per_slot(slots))
            exchange = KeyValueExchange()
            context = layer.attention.self(text, bias, **{CACHE: exchange})[0]  # (B, L, d)
            attended = layer.attention.output(context, text)
            hidden = layer.intermediate.dense(attended)
            hidden = hidden + on_device_of(fusion(context, of_posts(visual, images.mask), there), hidden)
            text = layer.output(layer.intermediate.intermediate_act_fn(hidden), attended)
        return text

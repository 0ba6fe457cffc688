"""Vision layers that run jointly with text layers: each side attends to itself and to the other's keys and values."""

from typing import NamedTuple

import torch
from torch import nn
from transformers import Cache
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS
from transformers.models.bert.modeling_bert import eager_attention_forward

from tgdi_hf.modeling.attention_support import TEXT_IMPLEMENTATIONS
from tgdi_hf.modeling.devices import on_device_of
from tgdi_hf.modeling.prefix_attention import attention_bias

from .baseline import Baseline, VisualLevels


class VisionFamily(NamedTuple):
    r"""
    Names within a vision layer, which normalises its input, attends, and adds the result to its input.

    Args:
        attention (`str`): The self-attention, with the maps `q_proj`, `k_proj`, `v_proj` and `out_proj` or `o_proj`.
        norm (`str`): The normalisation before it.
    """

    attention: str
    norm: str


# The list is closed: another encoder may do more in its attention (rotate keys, add position biases), which would be
# lost in silence.
VISION_FAMILIES = {
    "clip_vision_model": VisionFamily("self_attn", "layer_norm1"),
    "siglip_vision_model": VisionFamily("self_attn", "layer_norm1"),
    "vit": VisionFamily("attention", "layernorm_before"),
    "deit": VisionFamily("attention", "layernorm_before"),
    "dinov2": VisionFamily("attention", "norm1"),
    "dinov2_with_registers": VisionFamily("attention", "norm1"),
}


class KeysAndValues(NamedTuple):
    r"""
    Keys and values of one layer before they are split into heads.

    Args:
        keys, values (`torch.Tensor`): `(B, P, d)` each.
    """

    keys: torch.Tensor
    values: torch.Tensor

    def per_slot(self, slots: int) -> "KeysAndValues":
        """Those of posts, repeated for each of their images: `(B S, P, d)`."""
        return KeysAndValues(*(x.unsqueeze(1).expand(-1, slots, -1, -1).flatten(0, 1) for x in self))

    def of_posts(self, mask: torch.Tensor) -> "KeysAndValues":
        """Those of images `(B S, n, d)`, side by side for each post: `(B, S n, d)`; `mask` is `(B, S)`."""
        return KeysAndValues(*(of_posts(x, mask) for x in self))


def of_posts(tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """From tokens of the images of each post, `(B S, n, d)`, to `(B, S n, d)`; `mask` is `(B, S)`."""
    return tokens.unflatten(0, mask.shape).flatten(1, 2)


class KeyValueProjection(nn.Module):
    r"""
    Maps keys and values of one encoder to the width of the other; the identity where both are equally wide, as in the
    papers. (The maps are ours: the papers combine two encoders of width 768.) Either way, the layer that reads them
    splits them into as many heads as it has.

    Args:
        width (`int`): Width of the keys and values.
        target (`int`): Width of those of the layer that reads them.
    """

    def __init__(self, width: int, target: int):
        super().__init__()
        self.keys, self.values = (nn.Identity() if width == target else nn.Linear(width, target) for _ in range(2))

    def forward(self, pair: KeysAndValues) -> KeysAndValues:
        return KeysAndValues(self.keys(pair.keys), self.values(pair.values))


class KeyValueExchange(Cache):
    r"""
    The cache of one text layer in one forward pass. The layer attends to `others`, then to itself, and leaves its own
    keys and values in `own`. Recomputation under activation checkpointing reads and leaves the same.

    Args:
        others (`KeysAndValues`, *optional*): Those of the images, `(B, P, d)`.
    """

    def __init__(self, others: KeysAndValues | None = None):
        super().__init__(layers=[])
        self.others = others
        self.own: KeysAndValues | None = None

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args, **kwargs):
        own = (key_states, value_states)  # (B, heads, L, d_h) each
        self.own = KeysAndValues(*(states.transpose(1, 2).flatten(2) for states in own))
        if self.others is None:
            return own
        # (B, heads, P + L, d_h)
        return tuple(torch.cat([as_heads(x, states), states], dim=2) for x, states in zip(self.others, own))


def as_heads(x: torch.Tensor, states: torch.Tensor) -> torch.Tensor:
    """`(B, P, d)` in the heads, dtype and device of `states`: `(B, heads, P, d_h)`."""
    return on_device_of(x, states).to(states.dtype).unflatten(-1, (states.shape[1], -1)).transpose(1, 2)


class TextAwareAttention(nn.Module):
    r"""
    The self-attention of a vision layer, which also attends to the text. The parameters are those of `attention`, under
    the same names.

    Args:
        attention (`nn.Module`): The attention of a layer of one of `VISION_FAMILIES`.
    """

    is_causal = False

    def __init__(self, attention: nn.Module):
        super().__init__()
        self.config, self.head_dim = attention.config, attention.head_dim
        rate = getattr(attention, "dropout", None)
        self.rate = attention.attention_dropout if rate is None else rate
        for name, projection in attention.named_children():
            setattr(self, name, projection)

    def forward(
        self,
        hidden_states: torch.Tensor,
        attention_mask: torch.Tensor,
        text: KeysAndValues,
        own: KeysAndValues | None = None,
    ) -> tuple[torch.Tensor, None]:
        r"""
        Args:
            hidden_states (`torch.Tensor`): Normalised tokens of the images, `(B S, n, d_v)`.
            attention_mask (`torch.Tensor`): `(B S, 1, 1, L + n)`, as `attention_bias` returns it.
            text (`KeysAndValues`): Those of the post of each image, `(B S, L, d_v)`.
            own (`KeysAndValues`, *optional*): Those of the images, if they are known already.
        """
        own = own or KeysAndValues(self.k_proj(hidden_states), self.v_proj(hidden_states))
        queries = self.q_proj(hidden_states).unflatten(-1, (-1, self.head_dim)).transpose(1, 2)
        keys, values = (
            torch.cat([as_heads(of_text, queries), as_heads(of_images, queries)], dim=2)  # (B S, heads, L + n, d_h)
            for of_text, of_images in zip(text, own)
        )
        attend = ALL_ATTENTION_FUNCTIONS.get_interface(self.config._attn_implementation, eager_attention_forward)
        context, _ = attend(
            self, queries, keys, values, attention_mask,
            scaling=self.head_dim**-0.5, dropout=self.rate if self.training else 0.0,
        )  # fmt: skip
        output = self.out_proj if hasattr(self, "out_proj") else self.o_proj
        return output(context.flatten(2)), None


def key_mask(*masks: torch.Tensor, dtype: torch.dtype, implementation: str) -> torch.Tensor:
    """The attention mask of any query over keys in several parts, from masks `(B, P)`: `(B, 1, 1, P + …)`."""
    visible = torch.cat([on_device_of(mask, masks[0]).bool() for mask in masks], dim=1)
    return attention_bias(visible, None, dtype, implementation)[:, :, :1]


class JointBaseline(Baseline):
    r"""
    A baseline that runs the vision encoder's own layers jointly with those of the text encoder, and trains them: these
    layers have never seen text before.

    In the originals, the crops of a post are one sequence of patches without the pretrained positions. Here each image
    and object keeps to itself and to the text, as the vision encoder was pre-trained, with all of its tokens. Layers
    below the first joint one encode each distinct image of a batch once; from there on each image of each post is
    encoded with the text of its post.

    Args:
        config (`BaselineConfig`): The model's configuration; the vision encoder is one of `VISION_FAMILIES`.
    """

    trains_vision = True

    def __init__(self, config):
        super().__init__(config)
        name = type(self).__name__
        if not config.uses_vision:
            raise ValueError(f"{name} fuses text and images; with `use_vision=False`, use MTBForRelationExtraction.")
        if config.vision_config.model_type not in VISION_FAMILIES:
            raise ValueError(
                f"{name} runs the layers of the vision encoder jointly with those of the text encoder, which it can "
                f"for {', '.join(VISION_FAMILIES)}; `vision_config` is of type {config.vision_config.model_type!r}."
            )
        self.family = VISION_FAMILIES[config.vision_config.model_type]
        self.num_lower_layers = 0  # vision layers that read no text, at the bottom

    @property
    def vision_layers(self) -> nn.ModuleList:
        lists = (module for module in self.vision_tower.modules() if isinstance(module, nn.ModuleList))
        return next(module for module in lists if len(module) == self.config.vision_config.num_hidden_layers)

    def unread_parameters(self) -> list[nn.Parameter]:
        """Parameters of the vision encoder on which no output depends."""
        return []

    def train(self, mode: bool = True):
        # Also at the end of `from_pretrained`, which makes every parameter trainable.
        super().train(mode)
        for parameter in self.unread_parameters():
            parameter.requires_grad_(False)
        return self

    def read_text(self, layer: nn.Module) -> None:
        """Makes a vision layer attend to the text, too."""
        setattr(layer, self.family.attention, TextAwareAttention(getattr(layer, self.family.attention)))

    def keys_and_values(self, layer: nn.Module, tokens: torch.Tensor) -> KeysAndValues:
        """Those of a vision layer for its input `(B S, n, d_v)`."""
        attention, normalised = getattr(layer, self.family.attention), getattr(layer, self.family.norm)(tokens)
        return KeysAndValues(attention.k_proj(normalised), attention.v_proj(normalised))

    def maps(self, images: torch.Tensor) -> list[torch.Tensor]:
        """A single level: all tokens of the images `(N, 3, H, W)` below the first joint layer, `(N, n, d_v)`."""
        if self.vision_tower.config._attn_implementation not in TEXT_IMPLEMENTATIONS:
            raise ValueError(
                f"The vision encoder of {type(self).__name__} attends to the text through a mask, which "
                f"{self.vision_tower.config._attn_implementation!r} attention does not read. Load the model with "
                f"`attn_implementation` {' or '.join(map(repr, TEXT_IMPLEMENTATIONS))}."
            )
        tokens = self.vision_tower.embeddings(images.to(self.dtype))
        if hasattr(self.vision_tower, "pre_layrnorm"):  # CLIP
            tokens = self.vision_tower.pre_layrnorm(tokens)
        for layer in self.vision_layers[: self.num_lower_layers]:
            tokens = layer(tokens, None)
        return [tokens]

    def tokens_of_slots(self, images: VisualLevels) -> torch.Tensor:
        """The tokens of the image in every slot, `(B S, n, d_v)`; those of empty slots mean nothing."""
        return images.maps[0][images.index].flatten(0, 1)

    def vision_mask(self, tokens: torch.Tensor, text_mask: torch.Tensor, slots: int) -> torch.Tensor:
        """The attention mask of a vision layer whose keys are the text and then the image: `(B S, 1, 1, L + n)`."""
        text = text_mask.unsqueeze(1).expand(-1, slots, -1).flatten(0, 1)  # (B S, L)
        own = torch.ones_like(tokens[..., 0])  # an image sees all of itself
        return key_mask(
            on_device_of(text, own), own, dtype=self.dtype,
            implementation=self.vision_tower.config._attn_implementation,
        )  # fmt: skip

    def embed_text(self, ids: torch.Tensor, types: torch.Tensor | None) -> torch.Tensor:
        """The input of the first text layer, `(B, L, d)`."""
        text = self.text_encoder.embeddings(input_ids=ids, token_type_ids=types)
        if hasattr(self.text_encoder, "embeddings_project"):  # ELECTRA's embeddings may be narrower
            text = self.text_encoder.embeddings_project(text)
        return text

    def key_width(self, layer: nn.Module) -> int:
        """The width of a vision layer's keys and values."""
        return getattr(layer, self.family.attention).k_proj.out_features

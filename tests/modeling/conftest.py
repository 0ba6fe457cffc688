"""Tiny configurations, models and inputs."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from transformers import (
    BertConfig,
    CamembertConfig,
    CLIPVisionConfig,
    Dinov2Config,
    DINOv3ViTConfig,
    ElectraConfig,
    RobertaConfig,
    SiglipVisionConfig,
    ViTConfig,
    XLMRobertaConfig,
)

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction

VOCABULARY, WIDTH, IMAGE = 120, 32, 32
VISUAL = ("pixel_values", "image_mask", "image_index", "vision_features")  # the visual arguments of `forward`
TEXT: dict[str, Any] = dict(
    hidden_size=WIDTH, num_hidden_layers=3, num_attention_heads=4, intermediate_size=64, vocab_size=VOCABULARY,
    max_position_embeddings=64, hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
)  # fmt: skip
VISION: dict[str, Any] = dict(
    hidden_size=24, num_hidden_layers=2, num_attention_heads=4, image_size=IMAGE, patch_size=8
)
TEXT_CONFIGS = {
    "bert": BertConfig(**TEXT),
    "roberta": RobertaConfig(**TEXT, pad_token_id=0),
    "xlm-roberta": XLMRobertaConfig(**TEXT, pad_token_id=0),
    "camembert": CamembertConfig(**TEXT, pad_token_id=0),
    "electra": ElectraConfig(**TEXT, embedding_size=16),
}
VISION_CONFIGS = {
    "clip_vision_model": CLIPVisionConfig(**VISION, intermediate_size=48),
    "vit": ViTConfig(**VISION, intermediate_size=48),
    "dinov2": Dinov2Config(**VISION, mlp_ratio=2),
    "dinov3_vit": DINOv3ViTConfig(**{**VISION, "num_attention_heads": 3}, intermediate_size=48, num_register_tokens=2),
    "siglip_vision_model": SiglipVisionConfig(**VISION, intermediate_size=48),
}


def tiny_config(text="bert", vision="clip_vision_model", **options) -> TGDIConfig:
    options = {"num_labels": 5, "classifier_dropout": 0.0, **options}
    return TGDIConfig(
        text_config=TEXT_CONFIGS[text].to_dict(), vision_config=VISION_CONFIGS[vision].to_dict(), **options
    )


def tiny_model(seed=0, **options) -> TGDIForRelationExtraction:
    torch.manual_seed(seed)
    model = TGDIForRelationExtraction(tiny_config(**options))
    # With the usual initial weights, which are small, the logits of a tiny model hardly depend on its inputs.
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()


def tiny_inputs(batch=4, length=9, caption=5, slots=3, seed=1, images=True) -> dict[str, torch.Tensor]:
    """Rows of different lengths; the first has all images, the last has none, and the second has no caption."""
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.tensor([length - i % 3 for i in range(batch)])
    captions = torch.tensor([0 if i == 1 else caption - i % 2 for i in range(batch)])
    width = int((lengths + captions).max())
    tokens = torch.randint(5, VOCABULARY, (batch, width), generator=generator)
    enhanced_mask = (torch.arange(width) < (lengths + captions)[:, None]).long()
    mask = (torch.arange(length) < lengths[:, None]).long()
    inputs = dict(
        input_ids=tokens[:, :length] * mask,
        attention_mask=mask,
        token_type_ids=torch.zeros_like(mask),
        enhanced_input_ids=tokens * enhanced_mask,
        enhanced_attention_mask=enhanced_mask,
        enhanced_token_type_ids=(torch.arange(width) >= lengths[:, None]).long() * enhanced_mask,
        head_index=torch.tensor([1 + i % 2 for i in range(batch)]),
        tail_index=torch.tensor([4 + i % 2 for i in range(batch)]),
    )
    if images:
        inputs["pixel_values"] = torch.randn(batch, slots, 3, IMAGE, IMAGE, generator=generator)
        inputs["image_mask"] = torch.tensor(
            [[int(i == 0 or (j == 0 and i < batch - 1)) for j in range(slots)] for i in range(batch)]
        )
    return inputs


def region_inputs(batch=4, length=9, caption=5, objects=2, seed=1) -> dict[str, torch.Tensor]:
    """As `tiny_inputs`, with one image per post and its objects as boxes, some of them across its edge."""
    inputs = tiny_inputs(batch, length, caption, slots=1 + objects, seed=seed)
    inputs["pixel_values"] = inputs["pixel_values"][:, :1]
    corners = torch.rand(batch, objects, 4, generator=torch.Generator().manual_seed(seed))
    inputs["object_boxes"] = torch.cat([corners[..., :2] - 0.2, corners[..., :2] + 0.1 + corners[..., 2:] / 2], dim=-1)
    return inputs


def prefixed_with(name: str) -> Callable[[str], str]:
    """The `msg` of `torch.testing.assert_close` that names what differs."""
    return lambda message: f"{name}: {message}"


@pytest.fixture
def inputs():
    return tiny_inputs()


@pytest.fixture
def model():
    return tiny_model()

"""The graphs that a model is exported as: modules with named tensors as inputs and outputs, and example inputs."""

from typing import Any, NamedTuple

import torch
from torch import nn
from torch.export import Dim

from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..modeling.region_weights import REGIONS

# What the graph returns of `TGDIRelationExtractionOutput`, as far as the model has it.
OUTPUTS = (
    "logits",
    "directed_logits",
    "matching_gate",
    "similarity",
    "patch_token_cosine",
    "vision_gates",
    "region_weights",
)
TEXTS = ("", "enhanced_")
# A dimension of size 1 in the example would be taken for a constant; equal ones for one and the same.
POSTS, LENGTH, ENHANCED_LENGTH, IMAGES = 2, 7, 11, 3


class Graph(NamedTuple):
    r"""
    Args:
        name: `vision`, `fusion`, or `model` for all in one.
        module: The module to trace; it has the model's `config`.
        inputs: Example inputs by name.
        dynamic: The dimensions of each input that vary. `Dim.DYNAMIC` makes the export fail where a dimension would
            become a constant of the graph.
    """

    name: str
    module: nn.Module
    inputs: dict[str, torch.Tensor]
    dynamic: dict[str, dict[int, Any]]


class VisionGraph(nn.Module):
    """`get_vision_features` of a model."""

    def __init__(self, model: TGDIForRelationExtraction):
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, pixel_values: torch.Tensor) -> dict[str, torch.Tensor]:
        """`(N, 3, H, W)` to `vision_features`, `(N, tokens, d_v)`."""
        return {"vision_features": self.model.get_vision_features(pixel_values)}


class FusionGraph(nn.Module):
    """`forward` of a model, with the outputs that pipelines read."""

    def __init__(self, model: TGDIForRelationExtraction):
        super().__init__()
        self.model, self.config = model, model.config

    def forward(self, **inputs: torch.Tensor) -> dict[str, torch.Tensor]:
        """The texts and images, these as `vision_features` or `pixel_values`, to `OUTPUTS`."""
        outputs = self.model(**inputs)
        return {name: outputs[name] for name in OUTPUTS if outputs.get(name) is not None}


def graphs_of(model: TGDIForRelationExtraction, single: bool = False) -> list[Graph]:
    r"""
    Args:
        model: The model, in evaluation mode.
        single: One graph from pixels and texts to logits, instead of one for the vision encoder and one for the rest.

    Returns:
        The graphs of the model. A model that reads no images has a single one in any case.
    """
    inputs = _texts()
    if not model.config.uses_vision:
        return [Graph("model", FusionGraph(model), inputs, _dynamic(inputs, None))]
    regions, fixed = model.config.object_features == REGIONS, fixed_slots(model)
    slots = (3 if regions else 2) if fixed is None else fixed
    width = 1 if regions else slots
    inputs["image_index"] = torch.arange(POSTS * width).view(POSTS, width) % IMAGES
    inputs["image_mask"] = torch.ones(POSTS, slots, dtype=torch.long)
    if regions and slots > 1:
        inputs["object_boxes"] = torch.tensor([0.1, 0.2, 0.6, 0.8]).expand(POSTS, slots - 1, 4)
    pixels = torch.zeros(IMAGES, 3, *_image_size(model))
    if single:
        inputs["pixel_values"] = pixels
        return [Graph("model", FusionGraph(model), inputs, _dynamic(inputs, fixed))]
    with torch.no_grad():
        inputs["vision_features"] = model.get_vision_features(pixels)
    vision = {"pixel_values": pixels}
    return [
        Graph("vision", VisionGraph(model), vision, _dynamic(vision, fixed)),
        Graph("fusion", FusionGraph(model), inputs, _dynamic(inputs, fixed)),
    ]


def fixed_slots(model: TGDIForRelationExtraction) -> int | None:
    r"""
    The number of image slots per post in the graphs if it is a constant, otherwise `None`. A dimension that varies has
    at least two sizes of more than one.
    """
    objects = model.config.num_objects
    constant = objects <= 2 if model.config.object_features == REGIONS else objects <= 1
    return 1 + objects if constant else None


def _texts() -> dict[str, torch.Tensor]:
    inputs = {}
    for prefix, length in zip(TEXTS, (LENGTH, ENHANCED_LENGTH)):
        for name, value in (("input_ids", 5), ("attention_mask", 1), ("token_type_ids", 0)):
            inputs[f"{prefix}{name}"] = torch.full((POSTS, length), value)
    return {**inputs, "head_index": torch.ones(POSTS).long(), "tail_index": torch.full((POSTS,), 3)}


def _dynamic(inputs: dict[str, torch.Tensor], slots: int | None) -> dict[str, dict[int, Any]]:
    first, both = {0: Dim.DYNAMIC}, {0: Dim.DYNAMIC, 1: Dim.DYNAMIC}
    shapes = dict.fromkeys(("head_index", "tail_index", "pixel_values", "vision_features"), first)
    if slots is not None:
        shapes |= dict.fromkeys(("image_index", "image_mask", "object_boxes"), first)
    elif "object_boxes" in inputs:
        shapes["image_index"] = first
    return {name: shapes.get(name, both) for name in inputs}


def _image_size(model: TGDIForRelationExtraction) -> tuple[int, int]:
    size = getattr(model.config.vision_config, "image_size", 224)
    return (size, size) if isinstance(size, int) else (size[0], size[1])

"""The arguments of `TGDIForRelationExtraction.forward` as inputs of a graph, which has no optional ones."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional

from ..modeling.configuration_tgdi import TGDIConfig
from ..modeling.image_checks import (
    check_boxes,
    check_count,
    check_index,
    check_object_form,
    check_rank,
    check_regions,
    check_slots,
)
from ..modeling.input_checks import check_entities, read_text
from ..modeling.region_weights import REGIONS
from ..modeling.tgdi_inputs import TextInputs


class GraphImages(NamedTuple):
    r"""
    Args:
        given: One row per distinct image: pixels or features, as the graph reads them.
        index: `image_index`, `(B, S)`, or `(B, 1)` with `object_features="regions"`.
        mask: `image_mask`, `(B, S)`.
        boxes: `object_boxes`, `(B, S - 1, 4)`, which crops do not have.
        slots: The number of slots that the caller gave; the others fill the graph's fixed number.
    """

    given: torch.Tensor
    index: torch.Tensor  # type: ignore[assignment]  # replaces `tuple.index`, which nothing calls
    mask: torch.Tensor
    boxes: torch.Tensor | None
    slots: int


def text_inputs(arguments: dict[str, Any], config: TGDIConfig) -> dict[str, torch.Tensor]:
    r"""
    Args:
        arguments: The arguments of `forward` that are not `None`.
        config: The configuration of the model.

    Returns:
        The two texts, with a mask and segments, and `head_index` and `tail_index`. Without a second text, the graph
        reads the first one twice, as the model does.

    Raises:
        ValueError: As `TGDIForRelationExtraction.forward`.
    """
    if "head_index" not in arguments or "tail_index" not in arguments:
        raise ValueError("`head_index` and `tail_index` are required: the positions of the opening entity markers.")
    vocabulary = nn.Embedding(config.text_config.vocab_size, 1, device="meta")
    text, enhanced = (_text(prefix, arguments, vocabulary) for prefix in ("", "enhanced_"))
    if text is None:
        raise ValueError("`input_ids` are required.")
    enhanced = text if enhanced is None else enhanced
    places = {name: arguments[name] for name in ("head_index", "tail_index")}
    check_entities(places, {"text": text} if enhanced is text else {"text": text, "enhanced text": enhanced})
    for one in (text, enhanced):
        if one.mask.shape[1] > config.max_text_length:
            raise ValueError(
                f"A text has {one.mask.shape[1]} tokens; this text encoder has positions for {config.max_text_length}. "
                f"Set `max_length={config.max_text_length}` in the processor."
            )
    inputs = {name: value.long() for name, value in places.items()}
    for prefix, one in (("", text), ("enhanced_", enhanced)):
        assert one.ids is not None
        types = torch.zeros_like(one.ids) if one.types is None else one.types
        named = {"input_ids": one.ids, "attention_mask": one.mask, "token_type_ids": types}
        inputs |= {f"{prefix}{name}": value.long() for name, value in named.items()}
    return inputs


def image_inputs(
    arguments: dict[str, Any],
    posts: int,
    config: TGDIConfig,
    image_shape: list[int],
    fixed_slots: int | None,
    encode: Callable[[torch.Tensor], torch.Tensor],
) -> GraphImages | None:
    r"""
    Args:
        arguments: The arguments of `forward` that are not `None`.
        posts: B.
        config: The configuration of the model.
        image_shape: The shape of one image in the graph.
        fixed_slots: The number of slots per post, if the graph fixes it.
        encode: From `pixel_values` to what the graph reads.

    Returns:
        The images; or `None` without images.

    Raises:
        ValueError: The tensors do not belong together; the message names them and their shapes.
    """
    pixels, features = arguments.get("pixel_values"), arguments.get("vision_features")
    index, mask, boxes = (arguments.get(name) for name in ("image_index", "image_mask", "object_boxes"))
    if pixels is not None and features is not None:
        raise ValueError("Expected `pixel_values` or `vision_features`, got both; leave one out.")
    name, given = ("vision_features", features) if pixels is None else ("pixel_values", pixels)
    if given is None:
        if index is not None or mask is not None or boxes is not None:
            raise ValueError(
                "Got `image_mask`, `image_index` or `object_boxes` without `pixel_values` or `vision_features`."
            )
        return None
    check_rank(name, given, 3 if features is None else len(image_shape), index)
    check_object_form(given, index, boxes, config)
    given = encode(given) if features is None else given.float()
    if index is None:
        index = torch.arange(given.shape[0] * given.shape[1]).view(given.shape[:2])
        given = given.flatten(0, 1)
    if [*given.shape[1:]] != image_shape:
        raise ValueError(
            f"`{name}` yields images of shape {tuple(given.shape[1:])}; this graph reads {tuple(image_shape)}. Compute "
            "features with `get_vision_features` of the exported model."
        )
    if config.object_features == REGIONS:
        boxes = given.new_zeros(posts, 0, 4) if boxes is None else boxes.float()
        check_regions(mask, index, boxes, posts)
        mask = torch.ones(posts, 1 + boxes.shape[1]) if mask is None else mask
        check_boxes(boxes, mask[:, 1:].bool())
        exists = mask.bool().any(dim=1, keepdim=True)
    else:
        mask = torch.ones_like(index) if mask is None else mask
        check_slots(mask, index, posts)
        exists = mask.bool()
    check_count(mask, config.num_objects)
    index = index.long().masked_fill(~exists, 0)
    check_index(index, given.shape[0])
    slots = mask.shape[1]
    missing = max(0, (fixed_slots or 1) - slots)
    mask = functional.pad(mask.bool().long(), (0, missing))
    if boxes is not None:
        boxes = functional.pad(boxes, (0, 0, 0, missing))
    else:
        index = functional.pad(index, (0, missing))
    return GraphImages(given, index, mask, boxes, slots)


def no_images(posts: int, config: TGDIConfig, image_shape: list[int], fixed_slots: int | None) -> GraphImages:
    """The one form in which a graph takes posts without any image: one image of zeros in no slot."""
    mask = torch.zeros(posts, fixed_slots or 1, dtype=torch.long)
    boxes = torch.zeros(posts, mask.shape[1] - 1, 4) if config.object_features == REGIONS else None
    return GraphImages(torch.zeros(1, *image_shape), mask if boxes is None else mask[:, :1], mask, boxes, mask.shape[1])


def _text(prefix: str, arguments: dict[str, Any], vocabulary: nn.Module) -> TextInputs | None:
    ids, mask, types = (arguments.get(f"{prefix}{name}") for name in ("input_ids", "attention_mask", "token_type_ids"))
    return read_text(prefix, ids, None, mask, types, vocabulary, 1)

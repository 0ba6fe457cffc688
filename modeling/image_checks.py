"""Validates the visual inputs of a batch before a mechanism fails on them; the messages name them and their shapes."""

from typing import Any

import torch

from .devices import can_read_values
from .region_weights import REGIONS


def check_rank(name: str, given: torch.Tensor, image_rank: int, image_index: torch.Tensor | None) -> None:
    """Checks the dimensions of `given`, in which one image has `image_rank` of them."""
    expected = image_rank + (2 if image_index is None else 1)
    if given.dim() != expected:
        raise ValueError(
            f"`{name}` has shape {tuple(given.shape)}; expected {expected} dimensions "
            f"{'without' if image_index is None else 'with'} `image_index`: one row per post with its images in the "
            "second dimension, or the distinct images of the batch and an `image_index`."
        )
    if 0 in given.shape:
        raise ValueError(
            f"`{name}` has shape {tuple(given.shape)}; expected at least one image. Omit `{name}` for a batch without "
            "images."
        )


def check_object_form(given: torch.Tensor, image_index: torch.Tensor | None, object_boxes: Any, config) -> None:
    """Checks that objects come in the form that the model reads: as images of their own, or as boxes."""
    if config.object_features != REGIONS:
        if object_boxes is not None:
            raise ValueError(
                "Got `object_boxes`, but the model has `object_features='crops'`: it reads objects as images of their "
                "own. Use a processor with `object_features='crops'`, or a model with 'regions'."
            )
        return
    slots = given.shape[1] if image_index is None else image_index.shape[-1]
    if slots != 1:
        raise ValueError(
            f"Got {slots} images per post, but the model has `object_features='regions'`: it reads objects off the one "
            "image of their post, as `object_boxes`. Use a processor with `object_features='regions'`, or a model with "
            "'crops'."
        )


def check_features(name: str, features: torch.Tensor, config) -> None:
    """Checks that features have as many tokens as this model reads, and are of its kind."""
    tokens, width = features.shape[1:]
    pooled, states = config.num_pooled_tokens, config.num_vision_states
    if config.object_features == REGIONS:
        fits, expected = tokens % states == 0, f"{states} × patches"
    else:  # the patches of all hidden states are features of a model that reads regions
        whole = states * config.num_patches
        mistaken = name == "vision_features" and tokens == whole != pooled + config.num_patches
        fits = tokens > pooled and not mistaken
        expected = f"more than {pooled}"
    if not fits or width != config.vision_config.hidden_size:
        raise ValueError(
            f"`{name}` yields features of shape {tuple(features.shape)}; expected (N, {expected}, "
            f"{config.vision_config.hidden_size}) with `object_features={config.object_features!r}`. Compute features "
            "with `get_vision_features` of this model."
        )


def check_regions(
    image_mask: torch.Tensor | None, image_index: torch.Tensor, object_boxes: torch.Tensor, batch_size: int
) -> None:
    if object_boxes.dim() != 3 or object_boxes.shape[0] != batch_size or object_boxes.shape[2] != 4:
        raise ValueError(
            f"`object_boxes` has shape {tuple(object_boxes.shape)}; expected ({batch_size}, objects, 4): x0, y0, x1, "
            "y1 in fractions of the image."
        )
    slots = (batch_size, 1 + object_boxes.shape[1])
    if image_index.shape[0] != batch_size or (image_mask is not None and image_mask.shape != slots):
        mask = "" if image_mask is None else f" and `image_mask` of shape {tuple(image_mask.shape)}"
        raise ValueError(
            f"A batch of {batch_size} posts with `object_boxes` of shape {tuple(object_boxes.shape)} needs one image "
            f"per post and an `image_mask` of shape {slots}; got {image_index.shape[0]} images{mask}."
        )


def check_slots(image_mask: torch.Tensor, image_index: torch.Tensor, batch_size: int) -> None:
    if image_index.shape != image_mask.shape or image_index.shape[0] != batch_size:
        raise ValueError(
            f"A batch of {batch_size} posts needs one `image_mask` and one `image_index` entry per image slot; got "
            f"shapes {tuple(image_mask.shape)} for the mask and {tuple(image_index.shape)} for the images."
        )


def check_count(image_mask: torch.Tensor, num_objects: int) -> None:
    if image_mask.shape[1] > 1 + num_objects:
        raise ValueError(
            f"Got {image_mask.shape[1]} images per post; a model with `num_objects={num_objects}` reads at most "
            f"{1 + num_objects}: the whole image and {num_objects} objects."
        )


def check_index(image_index: torch.Tensor, num_images: int) -> None:
    if not can_read_values(image_index):
        return
    outside = image_index[(image_index < 0) | (image_index >= num_images)]
    if outside.shape[0]:
        raise ValueError(f"`image_index` contains {int(outside[0])}; expected indices from 0 to {num_images - 1}.")


def check_boxes(object_boxes: torch.Tensor, mask: torch.Tensor) -> None:
    r"""
    Args:
        object_boxes (`torch.Tensor`): `(B, m, 4)`.
        mask (`torch.Tensor`): `(B, m)`, true where a slot has an object.

    Raises:
        ValueError: On the CPU, a box in use is not finite, has no area, or lies outside of the image.
    """
    if not can_read_values(object_boxes, mask):
        return
    x0, y0, x1, y1 = object_boxes.unbind(-1)
    inside = (x0 < x1) & (y0 < y1) & (x0 < 1) & (y0 < 1) & (x1 > 0) & (y1 > 0)
    wrong = (mask & ~(inside & object_boxes.isfinite().all(dim=-1))).nonzero()
    if wrong.shape[0]:
        post, slot = wrong[0].tolist()
        raise ValueError(
            f"`object_boxes` of post {post}, object {slot}, is {object_boxes[post, slot].tolist()}; expected x0 < x1 "
            "and y0 < y1 in fractions of the image, at least partly between 0 and 1. Set `image_mask` to 0 in the slot "
            "of an object that the encoder does not see."
        )

"""Refuses the inputs that a baseline does not read: ignored, they would leave a weaker model in silence."""

from collections.abc import Callable
from typing import Any

import torch

from tgdi_hf.modeling.forward_arguments import reject_unknown_arguments


def refuse_foreign_arguments(forward: Callable, kwargs: dict[str, Any]) -> None:
    """Rejects unknown arguments; explains why a baseline cannot use `vision_features`."""
    if kwargs.get("vision_features") is not None:
        raise ValueError(
            f"{forward.__qualname__} got `vision_features`; no baseline reads them, and without images it would be a "
            "text model. Pass `pixel_values`, and leave `vision_features` out of the collator."
        )
    reject_unknown_arguments(forward, kwargs)


def refuse_unfit_own_inputs(own: dict[str, Any], pixel_values: torch.Tensor | None, processor: str) -> None:
    r"""
    Args:
        own: The inputs that only this baseline has, by name; `None` if missing.
        pixel_values: The images that they belong to.
        processor: The name of the class that returns both.

    Raises:
        ValueError: Images without these inputs, or these inputs without images.
    """
    for name, value in own.items():
        if value is None and pixel_values is not None:
            raise ValueError(f"`{name}` is missing; pass it as {processor} returns it.")
        if value is not None and pixel_values is None:
            raise ValueError(
                f"`{name}` was passed without `pixel_values`: pass both as {processor} returns them, or neither if no "
                "post has an object."
            )


def refuse_caption(name: str, enhanced_input_ids: torch.Tensor | None) -> None:
    """Raises ValueError if a baseline without captions is given a text with its caption."""
    if enhanced_input_ids is not None:
        raise ValueError(
            f"{name} got `enhanced_input_ids`, texts with captions, but reads none. Build the processor with "
            "`use_caption=False`, as `build_baseline` does, or configure a baseline with `use_caption=True`."
        )


def refuse_unread_images(
    name: str,
    pixel_values: torch.Tensor | None,
    image_mask: torch.Tensor | None,
    image_index: torch.Tensor | None,
    reads_image: bool,
    reads_objects: bool,
) -> None:
    r"""
    Args:
        name: The name of the baseline in the message.
        pixel_values, image_mask, image_index: See `TGDIModel.forward`.
        reads_image: Whether the baseline reads the first slot of a post, the whole image.
        reads_objects: Whether it reads the other slots, the objects.

    Raises:
        ValueError: A post has an image in a slot that the baseline does not read.
    """
    if pixel_values is None or (reads_image and reads_objects):
        return
    if torch.compiler.is_compiling() or torch.jit.is_tracing():  # a graph cannot raise
        return
    if image_mask is None:
        image_mask = pixel_values.new_ones(pixel_values.shape[:2] if image_index is None else image_index.shape)
    if reads_image or reads_objects:
        image_mask = image_mask[:, 1:] if reads_image else image_mask[:, :1]
    # On an accelerator the comparison waits for the mask, but a batch of the right processor has no objects to look at.
    if image_mask.shape[1] and image_mask.any():
        if reads_image:
            found, fix = "objects, but reads whole images only", "`num_objects=0`"
        elif reads_objects:
            found, fix = "whole images, but reads objects only", "`use_image=False`"
        else:
            found, fix = "images, but reads none", "`use_image=False` and `num_objects=0`"
        raise ValueError(f"{name} got {found}. Build the processor with {fix}, as `build_baseline` does.")

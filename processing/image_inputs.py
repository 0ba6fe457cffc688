"""The visual inputs of a batch, in the form in which the model reads objects: as crops or as regions."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from .image_batch import ImageBatch, ImagePart
from .image_boxes import Box
from .image_encoding import ImageRow, arrange, collect_images, pixel_values, precomputed_features
from .image_regions import arrange_regions, collect_regions, seen_boxes
from .image_resizing import squashed_parts
from .processor_options import REGIONS, InvalidOption


class ImageCall(NamedTuple):
    r"""
    How one call of the processor reads images.

    Args:
        options: Options of the image processor.
        share_images, known_pixels, vision_features: See `TGDIProcessor.__call__`.
    """

    options: Mapping[str, Any]
    share_images: bool = False
    known_pixels: dict[ImagePart, np.ndarray] | None = None
    vision_features: Callable[[Any, Box | None, str, bool], np.ndarray] | None = None


def image_inputs(rows: Sequence[ImageRow], processor: Any, call: ImageCall) -> dict[str, np.ndarray]:
    r"""
    Args:
        rows: The rows of the batch.
        processor (`TGDIProcessor`): Its options are those of `TGDIProcessor`.
        call: The call of the processor.

    Returns:
        See `TGDIProcessor.__call__`; empty if no row has an image or object.

    Raises:
        InvalidPost: An image or an object cannot be read.
        InvalidOption: `vision_features` are of the other kind than the processor reads.
    """
    squashed = squashed_parts(processor.image_processor, processor.image_resize, processor.object_resize, call.options)
    if processor.object_features != REGIONS:
        batch, slots = collect_images(rows, processor.num_objects, processor.use_image, squashed)
        if not len(batch):
            return {}
        return arrange(*_values(batch, processor, call), slots, processor.num_objects, call.share_images)
    batch, posts = collect_regions(rows, processor.num_objects, squashed.image)
    if not len(batch):
        return {}
    name, values = _values(batch, processor, call)
    boxes = seen_boxes(
        posts, batch, processor.image_processor, squashed.image, processor.max_image_pixels, call.options
    )
    return arrange_regions(name, values, posts, boxes, processor.num_objects, call.share_images)


def _values(batch: ImageBatch, processor: Any, call: ImageCall) -> tuple[str, np.ndarray]:
    """The name and the values, one row per distinct image, of the images of a batch among the model inputs."""
    if call.vision_features is None:
        pixels = pixel_values(
            batch, processor.image_processor, processor.max_image_pixels, call.known_pixels, call.options
        )
        return "pixel_values", pixels
    kind = getattr(call.vision_features, "object_features", processor.object_features)
    if kind != processor.object_features:
        raise InvalidOption(
            f"The vision features are for `object_features={kind!r}`, but the processor has "
            f"{processor.object_features!r}. Compute features with a model of the same `object_features` in another "
            "folder."
        )
    return "vision_features", precomputed_features(batch, call.vision_features)

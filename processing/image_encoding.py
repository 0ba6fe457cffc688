"""The images of a batch as model inputs: pixel values or vision features, and the slots of each row."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from .image_batch import ImageBatch, ImagePart
from .image_boxes import Box, is_box
from .image_resizing import NOT_SQUASHED, SQUASH, Squashed, encoder_pixels
from .invalid_post import InvalidPost

EMPTY_SLOT = -1


class ImageRow(NamedTuple):
    """Image and objects of one row as the processor receives them; `name` identifies the row in messages."""

    image: Any
    objects: Sequence | None
    name: str


def collect_images(
    rows: Sequence[ImageRow], num_objects: int, use_image: bool = True, squashed: Squashed = NOT_SQUASHED
) -> tuple[ImageBatch, list[list[int]]]:
    r"""
    Collects the distinct images of a batch.

    Args:
        rows: The rows of the batch.
        num_objects: The largest number of objects per row; of more, the first ones are taken.
        use_image: Whether whole images are collected; otherwise they are only a source of boxes.
        squashed: Whether images and objects are squashed. An image that is also an object of another row is encoded
            twice if it is resized in two ways.

    Returns:
        The images; and for each row the numbers of its image (`EMPTY_SLOT` if it has none, or without `use_image`) and
        of its objects.

    Raises:
        InvalidPost: An image or an object has an invalid type, or a box has no image.
    """
    batch = ImageBatch()
    return batch, [_slots(batch, row, num_objects, use_image, squashed) for row in rows]


def _slots(batch: ImageBatch, row: ImageRow, num_objects: int, use_image: bool, squashed: Squashed) -> list[int]:
    key, number = None, EMPTY_SLOT
    if row.image is not None and use_image:
        key, number = batch.add(row.image, f"{row.name}, image", squash=squashed.image)
    elif row.image is not None and num_objects:
        key = batch.add_source(row.image, f"{row.name}, image")
    slots = [number]
    for i, part in enumerate(object_list(row, num_objects)):
        where = f"{row.name}, object {i}"
        if not is_box(part):
            slots.append(batch.add(part, where, "objects", squashed.objects)[1])
        elif key is not None:
            slots.append(batch.add_box(key, part, where, squashed.objects))
        else:
            raise InvalidPost(
                f"{where} is a box, {list(part)!r:.80}, but the post has no image. Give the post an `image` (`images` "
                "of the processor), or pass the object as an image of its own.",
                "objects",
            )
    return slots


def object_list(row: ImageRow, num_objects: int) -> list:
    """The objects of a row, at most `num_objects`; raises `InvalidPost` if they are no list."""
    objects = row.objects
    if objects is None:
        return []
    if not isinstance(objects, Sequence | np.ndarray | torch.Tensor) or isinstance(objects, str | bytes):
        raise InvalidPost(f"{row.name}: `objects` is {objects!r:.80}; expected a list of boxes or images.", "objects")
    return list(objects)[:num_objects]


def pixel_values(
    batch: ImageBatch,
    image_processor: Any,
    max_pixels: int,
    known: dict[ImagePart, np.ndarray] | None,
    options: Mapping[str, Any],
) -> np.ndarray:
    r"""
    Runs the image processor over all parts of a batch.

    Args:
        batch: The images.
        image_processor: The image processor of the vision encoder.
        max_pixels: Larger images are rejected before they are decoded.
        known: Pixel values of parts that were processed before; filled with those of all others.
        options: Options of the image processor for this call.

    Returns:
        `(N, 3, H, W)`, in the order of the numbers in `batch`.

    Raises:
        InvalidPost: An image cannot be read, or a box lies outside of it.
        ValueError: The image processor returns arrays of different shapes.
    """
    known = {} if known is None else known
    for parts, images in batch.open(max_pixels, known):
        for squash in {part.squash for part in parts}:
            alike = {part: image for part, image in zip(parts, images) if part.squash == squash}
            known.update(zip(alike, encoder_pixels(image_processor, [*alike.values()], squash, options)))
    pixels = [known[part] for part in batch]
    shapes = {array.shape for array in pixels}
    if len(shapes) > 1 or any(len(shape) != 3 for shape in shapes):
        found = " and ".join(map(str, sorted(shapes)))
        raise ValueError(
            f"The {type(image_processor).__name__} returned pixels of shape {found}; expected (3, height, width), the "
            "same for all images. Give it a `size` with `height` and `width`, enable cropping, or set `image_resize` "
            f"and `object_resize` of the processor to '{SQUASH}'."
        )
    return np.stack(pixels)


def precomputed_features(
    batch: ImageBatch, vision_features: Callable[[Any, Box | None, str, bool], np.ndarray]
) -> np.ndarray:
    """The vision features `(N, tokens, d_v)` of all parts of a batch, looked up instead of computed from pixels."""
    rows: dict[int, np.ndarray] = {}
    for source, where, parts in batch.sources():
        rows.update((number, vision_features(source, part.box, where, part.squash)) for part, number in parts.items())
    return np.stack([rows[number] for number in range(len(batch))])


def arrange(
    name: str, values: np.ndarray, slots: Sequence[Sequence[int]], num_objects: int, share_images: bool
) -> dict[str, np.ndarray]:
    r"""
    Assigns the images of a batch to its rows.

    Args:
        name: The name of `values` among the model inputs.
        values: `(N, …)`, one row per distinct image.
        slots: For each row, the numbers of its image and objects, `EMPTY_SLOT` for a missing one.
        num_objects: The largest number m of objects per row.
        share_images: Return the distinct images once, with an index.

    Returns:
        `{name: (B, 1 + m, …), "image_mask": (B, 1 + m)}`, with zeros in empty slots; with `share_images`
        `{name: (N, …), "image_index": (B, 1 + s), "image_mask": (B, 1 + s)}`, where s is the largest number of objects
        of any row.
    """
    width = max(map(len, slots)) if share_images else 1 + num_objects
    index = np.array([[*row, *[EMPTY_SLOT] * (width - len(row))] for row in slots], dtype=np.int64)  # (B, S)
    mask = (index != EMPTY_SLOT).astype(np.int64)
    index = np.where(mask, index, 0)
    if share_images:
        return {name: values, "image_index": index, "image_mask": mask}
    values = values[index]  # (B, 1 + m, …)
    values[mask == 0] = 0
    return {name: values, "image_mask": mask}

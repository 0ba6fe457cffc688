"""Objects as regions of the image of their post: boxes in fractions of what the vision encoder sees of it."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from transformers.utils import logging

from .image_batch import ImageBatch
from .image_boxes import Box, as_box, is_box, touched_pixels
from .image_encoding import EMPTY_SLOT, ImageRow, object_list
from .image_resizing import CROP, SQUASH, relative_box, seen_box
from .invalid_post import InvalidPost, blaming

logger = logging.get_logger(__name__)
_warned: list[str] = []  # the first object of this process that its encoder did not see


class GivenBox(NamedTuple):
    """The box of an object in pixels of the upright image, and the name of the object in messages."""

    box: Box
    where: str


class PostRegions(NamedTuple):
    r"""
    The image of a post and its objects.

    Args:
        number: The number of the image in the batch; `EMPTY_SLOT` for a post without an image.
        key: The key of the image.
        boxes: The boxes of the objects.
    """

    number: int
    key: Hashable = None
    boxes: Sequence[GivenBox] = ()


def collect_regions(rows: Sequence[ImageRow], num_objects: int, squash: bool) -> tuple[ImageBatch, list[PostRegions]]:
    r"""
    Collects the distinct images of a batch; objects add none.

    Args:
        rows: The rows of the batch.
        num_objects: The largest number of objects per row; of more, the first ones are taken.
        squash: Whether images are squashed.

    Returns:
        The images, and the image and the objects of each row.

    Raises:
        InvalidPost: An image or an object has an invalid type, an object is an image of its own, or a box has no image.
    """
    batch = ImageBatch()
    return batch, [_regions(batch, row, num_objects, squash) for row in rows]


def _regions(batch: ImageBatch, row: ImageRow, num_objects: int, squash: bool) -> PostRegions:
    key, number = None, EMPTY_SLOT
    if row.image is not None:
        key, number = batch.add(row.image, f"{row.name}, image", squash=squash)
    boxes = []
    for i, part in enumerate(object_list(row, num_objects)):
        where = f"{row.name}, object {i}"
        if not is_box(part):
            raise InvalidPost(
                f"{where} is an image of its own, but with `object_features='regions'` objects are read off the image "
                "of their post: expected a box (x0, y0, x1, y1). Pass boxes, or use a model and a processor with "
                "`object_features='crops'`.",
                "objects",
            )
        if key is None:
            raise InvalidPost(
                f"{where} is a box, {list(part)!r:.80}, but the post has no image. Give the post an `image` (`images` "
                "of the processor).",
                "objects",
            )
        with blaming("objects"):
            boxes.append(GivenBox(as_box(part, where), where))
    return PostRegions(number, key, boxes)


def seen_boxes(
    posts: Sequence[PostRegions],
    batch: ImageBatch,
    image_processor: Any,
    squash: bool,
    max_pixels: int,
    options: Mapping[str, Any],
) -> list[list[Box | None]]:
    r"""
    Args:
        posts: From `collect_regions`.
        batch: Their images.
        image_processor: The image processor of the vision encoder.
        squash: Whether images are squashed.
        max_pixels: Larger images are rejected.
        options: Options of the image processor for this call.

    Returns:
        For each object of each post the pixels that its box touches, in fractions of what the encoder sees of the
        image; `None` for an object on a part of the image that the centre crop hides, of which the first one is
        reported in a warning.

    Raises:
        InvalidPost: A box lies outside of its image, or the header of an image cannot be read.
    """
    frames: dict[Hashable, tuple[tuple[int, int], Box]] = {}
    found: list[list[Box | None]] = []
    for post in posts:
        if post.boxes and post.key not in frames:
            size = batch.size(post.key, max_pixels)
            frames[post.key] = size, seen_box(image_processor, size, SQUASH if squash else CROP, options)
        found.append([_seen(given, *frames[post.key]) for given in post.boxes])
    return found


def _seen(given: GivenBox, size: tuple[int, int], frame: Box) -> Box | None:
    with blaming("objects"):
        pixels = touched_pixels(given.box, size, given.where)
    seen = relative_box(pixels, frame)
    if seen is not None:
        x0, y0, x1, y1 = np.array(seen, dtype=np.float32)  # that of the model input, in which a sliver may vanish
        if x0 < x1 and y0 < y1:
            return seen
    if not _warned:
        _warned.append(given.where)
        logger.warning(
            f"{given.where}: the box {list(given.box)} lies on a part of the image that the image processor crops "
            "away, so the model does not see this object. `image_resize='squash'` shows the encoder the whole image. "
            "This warning is not repeated for further objects."
        )
    return None


def arrange_regions(
    name: str,
    values: np.ndarray,
    posts: Sequence[PostRegions],
    boxes: Sequence[Sequence[Box | None]],
    num_objects: int,
    share_images: bool,
) -> dict[str, np.ndarray]:
    r"""
    Assigns the images of a batch and the boxes on them to its rows.

    Args:
        name: The name of `values` among the model inputs.
        values: `(N, …)`, one row per distinct image.
        posts: From `collect_regions`.
        boxes: From `seen_boxes`.
        num_objects: The largest number m of objects per row.
        share_images: Return the distinct images once, with an index.

    Returns:
        `{name: (B, 1, …), "image_mask": (B, 1 + m), "object_boxes": (B, m, 4)}`, with zeros in empty slots; with
        `share_images` `{name: (N, …), "image_index": (B, 1), …}`, and the largest number of objects of any row in place
        of m. Without objects, `object_boxes` is absent.
    """
    width = max(map(len, boxes)) if share_images else num_objects
    numbers = np.array([[post.number] for post in posts], dtype=np.int64)
    corners = np.zeros((len(posts), width, 4), dtype=np.float32)
    mask = np.zeros((len(posts), 1 + width), dtype=np.int64)
    mask[:, :1] = numbers != EMPTY_SLOT
    for row, of_post in enumerate(boxes):
        for slot, box in enumerate(of_post):
            if box is not None:
                corners[row, slot], mask[row, 1 + slot] = box, 1
    arranged = {"image_mask": mask} | ({"object_boxes": corners} if width else {})
    index = np.where(mask[:, :1], numbers, 0)
    if share_images:
        return {name: values, "image_index": index, **arranged}
    values = values[index]  # (B, 1, …)
    values[mask[:, :1] == 0] = 0
    return {name: values, **arranged}

"""The images of a post as the model saw them, after resizing and cropping, and the places of objects on them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from PIL import Image

from ..processing.image_boxes import Box, as_box, crop, is_box
from ..processing.image_opening import open_image
from ..processing.post_batch import PostBatch
from .heat_map import RelativeBox


class SeenImage(NamedTuple):
    r"""
    An image of a post as the model saw it.

    Args:
        name: `"image"` for the image of the post, `"object 0"`, `"object 1"`, … for its objects.
        image: RGB, in the proportions of the part of the original that the model saw.
        objects: The boxes of the objects that lie on the image, by name.
    """

    name: str
    image: Image.Image
    objects: dict[str, RelativeBox]


def seen_images(processor: Any, batch: PostBatch) -> list[SeenImage]:
    r"""
    Args:
        processor (`TGDIProcessor`): The model's processor.
        batch: A batch of a single post with one entity pair.

    Returns:
        The images of the post: its image if it has one, then its objects.
    """
    (post,) = batch.posts
    given = {**post.given, **post.added}
    whole, seen = None, []
    if given.get("image") is not None:
        whole = open_image(given["image"], "image", processor.max_image_pixels)
    objects = [] if given.get("objects") is None else list(given["objects"])
    boxes: dict[str, Box] = {}
    for slot, pixels in batch.images(0).items():
        image, name = whole, "image"
        if slot:
            part, name = objects[slot - 1], f"object {slot - 1}"
            if is_box(part):
                assert whole is not None  # the processor rejects a box without an image
                boxes[name] = as_box(part, name)
                image = crop(whole, boxes[name], name)
            else:
                image = open_image(part, name, processor.max_image_pixels)
        assert image is not None
        seen.append(SeenImage(name, _as_seen(processor.image_processor, pixels, image.size), {}))
    if whole is not None:
        frame = seen_box(processor.image_processor, whole.size)
        places = {name: relative_box(box, frame) for name, box in boxes.items()}
        seen[0].objects.update((name, place) for name, place in places.items() if place is not None)
    return seen


def _as_seen(image_processor: Any, pixels: torch.Tensor, size: tuple[int, int]) -> Image.Image:
    """The image that became `pixels`, without the distortion of resizing it to a square."""
    image = image_of(image_processor, pixels)
    left, top, right, bottom = seen_box(image_processor, size)
    scale = max(image.size) / max(right - left, bottom - top)
    return image.resize((max(round((right - left) * scale), 1), max(round((bottom - top) * scale), 1)))


def image_of(image_processor: Any, pixels: torch.Tensor) -> Image.Image:
    r"""
    Recovers the image that the vision encoder sees from its pixel values.

    Args:
        image_processor: The image processor that made them.
        pixels (`torch.Tensor`): `(3, H, W)`.

    Returns:
        An RGB image of H × W pixels.
    """
    pixels = pixels.float().cpu()
    if getattr(image_processor, "do_normalize", False):
        mean, std = (torch.tensor(getattr(image_processor, name)) for name in ("image_mean", "image_std"))
        pixels = pixels * std[:, None, None] + mean[:, None, None]
    if getattr(image_processor, "do_rescale", True):
        pixels = pixels * 255
    return Image.fromarray(pixels.clamp(0, 255).round().byte().permute(1, 2, 0).numpy())


def seen_box(image_processor: Any, size: tuple[int, int]) -> Box:
    r"""
    Args:
        image_processor: The image processor.
        size: Width and height of an image.

    Returns:
        The part of the image that the vision encoder sees, in pixels of the image; larger than the image where the
        image processor pads it.
    """
    width, height = size
    if not getattr(image_processor, "do_center_crop", False):
        return 0.0, 0.0, float(width), float(height)
    shape: Mapping[str, int] = dict(image_processor.size) if getattr(image_processor, "do_resize", False) else {}
    if shape.get("shortest_edge"):
        scales = (min(size) / shape["shortest_edge"],) * 2
    elif shape.get("height"):
        scales = (width / shape["width"], height / shape["height"])
    else:
        scales = (1.0, 1.0)
    cut = dict(image_processor.crop_size)
    x, y = cut["width"] * scales[0] / 2, cut["height"] * scales[1] / 2
    return width / 2 - x, height / 2 - y, width / 2 + x, height / 2 + y


def relative_box(box: Box, frame: Box) -> RelativeBox | None:
    """The part of `box` inside of `frame`, in fractions of the frame's width and height; `None` if it lies outside."""
    spans = (frame[2] - frame[0], frame[3] - frame[1])
    left, top, right, bottom = (
        min(max((corner - frame[i % 2]) / spans[i % 2], 0.0), 1.0) for i, corner in enumerate(box)
    )
    return (left, top, right, bottom) if left < right and top < bottom else None

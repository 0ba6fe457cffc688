"""The images of a post as the model saw them, after resizing and cropping, and the places of objects on them."""

from typing import Any, NamedTuple

import torch
from PIL import Image

from ..processing.image_boxes import Box, as_box, crop, is_box
from ..processing.image_opening import open_image
from ..processing.image_resizing import relative_box, seen_box
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
        The images of the post: its image if it has one, then its objects, unless the model reads them as regions of
        the image.
    """
    (post,) = batch.posts
    given = {**post.given, **post.added}
    images = batch.images(0)
    whole, seen = None, []
    if given.get("image") is not None:
        whole = open_image(given["image"], "image", processor.max_image_pixels)
    objects = [] if given.get("objects") is None else list(given["objects"])
    boxes: dict[str, Box] = {}
    for slot, pixels in images.items():
        image, name, resize = whole, "image", processor.image_resize
        if slot:
            part, name, resize = objects[slot - 1], f"object {slot - 1}", processor.object_resize
            if is_box(part):
                assert whole is not None  # the processor rejects a box without an image
                boxes[name] = as_box(part, name)
                image = crop(whole, boxes[name], name)
            else:
                image = open_image(part, name, processor.max_image_pixels)
        assert image is not None
        frame = seen_box(processor.image_processor, image.size, resize)
        seen.append(SeenImage(name, _undistorted(image_of(processor.image_processor, pixels), frame), {}))
    if whole is not None and 0 in images:  # a processor with `use_image=False` takes only objects from it
        frame = seen_box(processor.image_processor, whole.size, processor.image_resize)
        places = {name: relative_box(box, frame) for name, box in boxes.items()}
        seen[0].objects.update((name, place) for name, place in places.items() if place is not None)
        seen[0].objects.update((f"object {slot - 1}", box) for slot, box in batch.regions(0).items())
    return seen


def _undistorted(image: Image.Image, frame: Box) -> Image.Image:
    """The image in the proportions of `frame`, the part of the original that it shows."""
    width, height = frame[2] - frame[0], frame[3] - frame[1]
    scale = max(image.size) / max(width, height)
    return image.resize((max(round(width * scale), 1), max(round(height * scale), 1)))


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

"""
How images are brought to the size of the vision encoder.

An image processor that scales the shorter side and crops the centre (CLIP, DINOv2) hides the ends of a wide or tall
image from the encoder. Squashing scales both sides to the encoder's size instead: the whole image is seen, with another
aspect ratio. Resampling, rescaling and normalization are those of the image processor in either case.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from transformers.image_processing_utils import get_size_dict

from .fast_resizing import SETTINGS, fast_pixels, fast_steps
from .image_boxes import Box
from .pillow import Image
from .processor_options import CROPS, REGIONS, InvalidOption

CROP, SQUASH = "crop", "squash"
IMAGE_RESIZE, OBJECT_RESIZE = CROP, SQUASH  # of new processors
# What processors did before these options existed, and how they are saved without them.
LEGACY_RESIZE = {"image_resize": CROP, "object_resize": CROP}


# Options of a call that `_fast_pixels` follows.
_FAST_OPTIONS = {"return_tensors", "do_center_crop", "size"}


class Squashed(NamedTuple):
    r"""
    Which images are squashed. An image processor that squashes by itself (ViT, SigLIP) is left to do so: `False`.

    Args:
        image: Whole images.
        objects: Objects, whether boxes on an image or images of their own.
    """

    image: bool
    objects: bool


NOT_SQUASHED = Squashed(image=False, objects=False)


def checked_resizes(
    image_processor: Any, image_resize: Any, object_resize: Any, object_features: str = CROPS
) -> tuple[str, str]:
    r"""
    Args:
        image_processor: The image processor of the vision encoder.
        image_resize, object_resize: How whole images and objects are resized: `"crop"`, as the image processor does, or
            `"squash"`. `None` stands for the default: `"crop"` for images, and for objects `"squash"` if the image
            processor has a size to squash to.
        object_features: With `"regions"`, the default for images is that for objects, so that the encoder sees them.

    Returns:
        Both, `"crop"` or `"squash"`.

    Raises:
        InvalidOption: Another value, or `"squash"` with an image processor that has no size to squash to.
    """
    size = squashed_size(image_processor)
    of_objects = OBJECT_RESIZE if size else CROP
    of_images = of_objects if object_features == REGIONS else IMAGE_RESIZE
    values = {
        "image_resize": of_images if image_resize is None else image_resize,
        "object_resize": of_objects if object_resize is None else object_resize,
    }
    for name, value in values.items():
        if value not in (CROP, SQUASH):
            raise InvalidOption(f"`{name}` is {value!r:.80}; expected '{CROP}' or '{SQUASH}'.")
        if value == SQUASH and size is None:
            raise _no_size(f"`{name}` is '{SQUASH}'", image_processor)
    return values["image_resize"], values["object_resize"]


def squashed_parts(
    image_processor: Any, image_resize: str | None, object_resize: str | None, options: Mapping[str, Any] | None = None
) -> Squashed:
    r"""
    Args:
        image_processor: The image processor of the vision encoder.
        image_resize, object_resize: `"crop"` or `"squash"`; `None` as `"crop"`.
        options: Options of the image processor for one call; with `do_resize=False` nothing is squashed either.
    """
    options = options or {}
    if options.get("do_resize") is False or _squashes(image_processor, options):
        return NOT_SQUASHED
    return Squashed(image_resize == SQUASH, object_resize == SQUASH)


def encoder_pixels(
    image_processor: Any, images: Sequence[Image.Image], squash: bool, options: Mapping[str, Any] | None = None
) -> list[np.ndarray]:
    r"""
    Runs the image processor.

    Args:
        image_processor: The image processor of the vision encoder.
        images: RGB images.
        squash: Squash them, see `Squashed`.
        options: Options of the image processor for this call.

    Returns:
        The pixel values of each image, `(3, H, W)`.

    Raises:
        InvalidOption: The image processor has no size to squash to.
    """
    options = {**(options or {}), "return_tensors": None}
    if squash:
        size = squashed_size(image_processor, options)
        if size is None:
            raise _no_size("An image or object is to be squashed", image_processor)
        options |= {"do_center_crop": False, "size": {"height": size[0], "width": size[1]}}
    fast = _fast_pixels(image_processor, images, options)
    others = [image for image, pixels in zip(images, fast) if pixels is None]
    plain = iter(image_processor(others, **options)["pixel_values"] if others else ())
    return [np.asarray(next(plain)) if pixels is None else pixels for pixels in fast]


def _fast_pixels(
    image_processor: Any, images: Sequence[Image.Image], options: Mapping[str, Any]
) -> list[np.ndarray | None]:
    """The pixel values of the images that `fast_pixels` can resize; `None` for all others."""
    settings = _Settings(image_processor, options)
    size = settings.size("size")
    if options.keys() <= _FAST_OPTIONS and (_height_and_width(size) or _square(size)):
        steps = fast_steps(image_processor, {name: settings[name] for name in SETTINGS})
        if steps is not None:
            return [fast_pixels(image, _resized(settings, image.height, image.width), steps) for image in images]
    return [None] * len(images)


def squashed_size(image_processor: Any, options: Mapping[str, Any] | None = None) -> tuple[int, int] | None:
    r"""
    Height and width of a squashed image: those of the centre crop or, without one, of the resized image, where
    `shortest_edge` stands for both sides. `None` if the image processor does not resize, or to no fixed size.
    """
    settings = _Settings(image_processor, options)
    if not settings["do_resize"]:
        return None
    size = settings.size("crop_size" if settings["do_center_crop"] else "size")
    return _height_and_width(size) or _square(size)


def seen_box(image_processor: Any, size: Sequence[int], resize: str, options: Mapping[str, Any] | None = None) -> Box:
    r"""
    The part of an image that the vision encoder sees, for positions of patches in the image. The patches of row i of n
    rows cover the i-th n-th of its height, and likewise for columns.

    Args:
        image_processor: The image processor. One that does not declare `do_center_crop` sees the whole image.
        size: Width and height of the upright image, or of the crop of an object, in pixels.
        resize: `"crop"` or `"squash"`: `processor.image_resize` or, for objects, `processor.object_resize`.
        options: Options of the image processor for one call.

    Returns:
        `(x0, y0, x1, y1)` in pixels, not rounded. It extends beyond the image where the image processor pads it.

    Raises:
        ValueError: The image processor crops after resizing to a `size` other than `shortest_edge` or `height` and
            `width`.

    Example: with CLIP's image processor a quarter of a 400 × 100 image remains.

    ```python
    >>> seen_box(processor.image_processor, (400, 100), "crop")
    (150.0, 0.0, 250.0, 100.0)
    >>> seen_box(processor.image_processor, (400, 100), "squash")
    (0.0, 0.0, 400.0, 100.0)
    ```
    """
    width, height = size
    settings = _Settings(image_processor, options)
    if resize == SQUASH or not settings["do_center_crop"]:
        return 0.0, 0.0, float(width), float(height)
    resized_height, resized_width = _resized(settings, height, width)
    crop_height, crop_width = (settings.size("crop_size")[side] for side in ("height", "width"))
    # The image processor rounds the upper left corner down to a whole pixel of the resized image.
    top, left = (resized_height - crop_height) // 2, (resized_width - crop_width) // 2
    x, y = width / resized_width, height / resized_height
    return left * x, top * y, (left + crop_width) * x, (top + crop_height) * y


def relative_box(box: Box, frame: Box) -> Box | None:
    r"""
    The part of `box` inside of `frame`, such as that of `seen_box`, in fractions of the frame's width and height;
    `None` if it lies outside.
    """
    spans = (frame[2] - frame[0], frame[3] - frame[1])
    left, top, right, bottom = (
        min(max((corner - frame[i % 2]) / spans[i % 2], 0.0), 1.0) for i, corner in enumerate(box)
    )
    return (left, top, right, bottom) if left < right and top < bottom else None


class _Settings:
    """Settings of an image processor, replaced by the options of one call."""

    def __init__(self, image_processor: Any, options: Mapping[str, Any] | None = None):
        self.image_processor, self.options = image_processor, options or {}

    def __getitem__(self, name: str) -> Any:
        value = self.options.get(name)
        return getattr(self.image_processor, name, None) if value is None else value

    def size(self, name: str) -> dict[str, int]:
        """A size as `height` and `width`, or `shortest_edge` and others, as the image processor reads it."""
        if self[name] is None:
            return {}
        # Of the two sizes, only that of resizing may be the length of the shorter side.
        to_square = name == "crop_size" or self["default_to_square"] is not False
        size = dict(get_size_dict(self[name], default_to_square=to_square))
        return {side: length for side, length in size.items() if length is not None}


def _no_size(start: str, image_processor: Any) -> InvalidOption:
    return InvalidOption(
        f"{start}, but the {type(image_processor).__name__} has no fixed size to squash images to. Give it "
        f"`do_resize=True` and a `size` with `height` and `width`, or choose '{CROP}'."
    )


def _squashes(image_processor: Any, options: Mapping[str, Any]) -> bool:
    """Whether the image processor squashes by itself."""
    size = squashed_size(image_processor, options)
    return size is not None and size == _height_and_width(_Settings(image_processor, options).size("size"))


def _resized(settings: _Settings, height: int, width: int) -> tuple[int, int]:
    """Height and width of an image after resizing, before it is cropped."""
    if not settings["do_resize"]:
        return height, width
    size = settings.size("size")
    if fixed := _height_and_width(size):
        return fixed
    if (square := _square(size)) is None:
        raise ValueError(
            f"`size` is {size}; expected `shortest_edge`, or `height` and `width`: how other sizes are reached, and "
            "what is cropped, is not known."
        )
    shortest = square[0]
    if height <= width:
        return shortest, int(shortest * width / height)
    return int(shortest * height / width), shortest


def _height_and_width(size: Mapping[str, int]) -> tuple[int, int] | None:
    return (size["height"], size["width"]) if size.keys() == {"height", "width"} else None


def _square(size: Mapping[str, int]) -> tuple[int, int] | None:
    return (size["shortest_edge"], size["shortest_edge"]) if size.keys() == {"shortest_edge"} else None

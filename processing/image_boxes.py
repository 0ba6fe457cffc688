"""Boxes on images: telling them from images, checking them, and cropping."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from .pillow import Image

# Image processors that scale the shorter side to 224 pixels would turn a narrower strip into gigabytes.
MAX_SIDE_RATIO = 1000

Box = tuple[float, float, float, float]


def is_box(value: Any) -> bool:
    """Whether an object is given as a box `(x0, y0, x1, y1)` rather than as an image of its own."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return value.ndim == 1
    return isinstance(value, list | tuple) and all(isinstance(number, int | float | np.number) for number in value)


def as_box(value: Any, where: str) -> Box:
    r"""
    Args:
        value: A sequence of numbers.
        where: Names the box in messages.

    Returns:
        The box as a tuple of floats.

    Raises:
        ValueError: `value` is not four finite numbers.
    """
    try:
        corners = tuple(float(number) for number in value)
    except OverflowError:  # JSON integers are unbounded
        corners = (math.inf,)
    except TypeError:
        raise ValueError(f"{where}: the box {value!r:.80} is not four finite numbers x0, y0, x1, y1.") from None
    if len(corners) != 4 or not all(map(math.isfinite, corners)):
        raise ValueError(f"{where}: the box {list(corners)!r:.80} is not four finite numbers x0, y0, x1, y1.")
    return corners


def crop(image: Image.Image, box: Box | None, where: str) -> Image.Image:
    r"""
    Crops an image to all pixels that a box touches; `None` is the whole image.

    Raises:
        ValueError: No pixel of the image lies in the box, the box is in fractions of the image, or the crop is a
            narrow strip.
    """
    part = image if box is None else image.crop(touched_pixels(box, image.size, where))
    _check_side_ratio(part.size, where)
    return part


def check_box(value: Any, size: Sequence[int], where: str) -> None:
    r"""
    Checks a box without the image.

    Args:
        value: `(x0, y0, x1, y1)`.
        size: Width and height of the upright image.
        where: Names the box in messages.

    Raises:
        ValueError: `value` is not four finite numbers, or `crop` would reject the box.
    """
    x0, y0, x1, y1 = touched_pixels(as_box(value, where), size, where)
    _check_side_ratio((x1 - x0, y1 - y0), where)


def touched_pixels(box: Box, size: Sequence[int], where: str) -> tuple[int, int, int, int]:
    r"""
    The pixels of an image that a box touches: left, top, and the exclusive right and bottom.

    Args:
        box: `(x0, y0, x1, y1)` in pixels.
        size: Width and height of the upright image.
        where: Names the box in messages.

    Raises:
        ValueError: No pixel of the image lies in the box, or the box is in fractions of the image.
    """
    width, height = size
    if max(box) <= 1 < max(size):
        raise ValueError(
            f"{where}: the box {list(box)} seems to be in fractions of the image, {width} × {height}; expected "
            "pixels: multiply by its width and height."
        )
    x0, y0, x1, y1 = box
    left, top = max(math.floor(x0), 0), max(math.floor(y0), 0)
    right, bottom = min(math.ceil(x1), width), min(math.ceil(y1), height)
    if left >= right or top >= bottom:
        raise ValueError(
            f"{where}: no pixel of the image, {width} × {height}, lies in the box {list(box)}; expected x0 < x1 and "
            "y0 < y1, in pixels of the whole upright image."
        )
    return left, top, right, bottom


def _check_side_ratio(size: Sequence[int], where: str) -> None:
    if max(size) > MAX_SIDE_RATIO * min(size):
        raise ValueError(
            f"{where} is a strip of {size[0]} × {size[1]} pixels; expected the longer side to be at most "
            f"{MAX_SIDE_RATIO} times the shorter one."
        )

"""Heat maps of the cosine of image patches and text, on one scale so that maps of different posts can be compared."""

from collections.abc import Mapping

import numpy as np
from PIL import Image, ImageDraw

# Blue for negative and orange for positive cosines: a pair that people with any colour vision tell apart.
COLD, WARM = (33, 102, 172), (230, 85, 13)
# Colours of the colour bar at -1, 0 and 1: those of a map over medium grey.
BAR_COLOURS = ((76, 114, 152), (160, 160, 160), (184, 104, 65))
SCALE_LABEL = "cosine of image patches and text"

# Left, top, right and bottom in fractions of the width and the height of an image.
RelativeBox = tuple[float, float, float, float]


def heat_map(image: Image.Image, cosine: np.ndarray, size: int = 448) -> Image.Image:
    r"""
    Colours an image by the cosine of each patch: grey at 0, orange at 1, blue at -1. The scale is the same for all
    images, so a weak map looks weak.

    Args:
        image: The image as the model saw it, see `ExplainedImage`.
        cosine (`np.ndarray`): `(rows, columns)`, in [-1, 1].
        size: Longer side of the result, in pixels.

    Returns:
        An RGB image.

    Raises:
        ValueError: A value lies outside of [-1, 1].
    """
    if np.abs(cosine).max() > 1:
        raise ValueError(f"The map has values from {cosine.min():.3g} to {cosine.max():.3g}; expected cosines.")
    image = resized(image, size)
    smooth = Image.fromarray(cosine.astype(np.float32)).resize(image.size, Image.Resampling.BILINEAR)
    values = np.asarray(smooth)[..., None]  # (height, width, 1)
    grey = np.asarray(image.convert("L").convert("RGB"), dtype=np.float32) * 0.55 + 90
    hue = np.where(values < 0, np.array(COLD, dtype=np.float32), np.array(WARM, dtype=np.float32))
    glow = 0.45 * np.asarray(image, dtype=np.float32) + 0.55 * hue
    strength = np.abs(values)
    return Image.fromarray((grey * (1 - strength) + glow * strength).clip(0, 255).round().astype(np.uint8))


def resized(image: Image.Image, size: int) -> Image.Image:
    """The image with a longer side of `size` pixels."""
    scale = size / max(image.size)
    return image.resize([max(round(side * scale), 1) for side in image.size], Image.Resampling.BICUBIC)


def outline(image: Image.Image, boxes: Mapping[str, RelativeBox]) -> Image.Image:
    r"""
    Outlines boxes and writes their names into the upper left corners.

    Args:
        image: An RGB image.
        boxes: Boxes by name.

    Returns:
        A copy of the image.
    """
    image = image.copy()
    draw = ImageDraw.Draw(image)
    width, height = image.width - 1, image.height - 1
    for name, (left, top, right, bottom) in boxes.items():
        corners = (round(left * width), round(top * height), round(right * width), round(bottom * height))
        # White on black is visible on any image.
        draw.rectangle(corners, outline="black", width=4)
        draw.rectangle(corners, outline="white", width=2)
        place = (corners[0] + 6, corners[1] + 4)
        draw.rectangle(draw.textbbox(place, name), fill="black", outline="black", width=2)
        draw.text(place, name, fill="white")
    return image

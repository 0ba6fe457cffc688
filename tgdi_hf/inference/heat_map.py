"""Images after preprocessing, and heat maps over them."""

import numpy as np
import torch
from PIL import Image

from ..processing.processing_tgdi import TGDIProcessor

WARM = (230, 85, 13)  # a single hue of varying strength reads well in greyscale and with colour-vision deficiency


def seen_image(processor: TGDIProcessor, pixel_values: torch.Tensor) -> Image.Image:
    r"""
    Recovers an image after resizing and cropping, so that patch positions match the model's.

    Args:
        processor: The model's processor.
        pixel_values (`torch.Tensor`): `(3, H, W)`, one image.

    Returns:
        An RGB image of H × W pixels.
    """
    image_processor = processor.image_processor
    pixels = pixel_values.float().cpu()
    if getattr(image_processor, "do_normalize", False):
        mean, std = (torch.tensor(getattr(image_processor, name)) for name in ("image_mean", "image_std"))
        pixels = pixels * std[:, None, None] + mean[:, None, None]
    if getattr(image_processor, "do_rescale", True):
        pixels = pixels * 255
    return Image.fromarray(pixels.clamp(0, 255).round().byte().permute(1, 2, 0).numpy())


def heat_map(image: Image.Image, weights: np.ndarray, size: int = 448) -> Image.Image:
    r"""
    Overlays weights on an image, from grey (low) to orange (high).

    Args:
        image: From `seen_image`.
        weights (`np.ndarray`): `(rows, columns)`, not negative; scaled by the largest.
        size: Longer side of the result, in pixels.

    Returns:
        An RGB image.
    """
    scale = size / max(image.size)
    image = image.resize([round(side * scale) for side in image.size], Image.Resampling.BICUBIC)
    relative = weights / max(float(weights.max()), np.finfo(np.float32).tiny)
    mask = Image.fromarray((255 * relative).round().astype(np.uint8)).resize(image.size, Image.Resampling.BILINEAR)
    strength = np.asarray(mask, dtype=np.float32)[..., None] / 255  # (height, width, 1)
    grey = np.asarray(image.convert("L").convert("RGB"), dtype=np.float32) * 0.55 + 90
    colour = np.asarray(image, dtype=np.float32)
    glow = 0.45 * colour + 0.55 * np.array(WARM, dtype=np.float32)
    return Image.fromarray((grey * (1 - strength) + glow * strength).clip(0, 255).astype(np.uint8))

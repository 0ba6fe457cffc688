"""
The steps of an image processor in the resampling kernel of torch, which takes a fifth of the time of PIL's.

Both kernels filter bytes with the same weights and round after each direction; torch stores weights in 16 bits, so that
a value in three hundred differs by one of 255 levels. Enlarging adds up such differences, and is left to PIL. Cropping,
rescaling and normalization are exactly those of the image processor.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from transformers.image_processing_backends import PilBackend

from .pillow import Image

# Names of the kernels by PIL's number of the filter.
_MODES = {Image.Resampling.BILINEAR: "bilinear", Image.Resampling.BICUBIC: "bicubic"}
# The steps of the PIL backend; an image processor that overrides one of them runs by itself.
_STEPS = ("process_image", "_preprocess", "resize", "center_crop", "rescale", "normalize")
_ENTRIES = ("__call__", "preprocess")
SETTINGS = (
    *("do_resize", "resample", "do_center_crop", "crop_size", "do_pad"),
    *("do_rescale", "rescale_factor", "do_normalize", "image_mean", "image_std"),
)


class FastSteps(NamedTuple):
    r"""
    The steps of an image processor that resizes, optionally crops the centre, rescales and normalizes.

    Args:
        mode: The filter, `"bilinear"` or `"bicubic"`.
        crop_size: Height and width of the centre crop, or `None`.
        levels: `(3, 256)`, the pixel value of each level of each channel.
    """

    mode: str
    crop_size: tuple[int, int] | None
    levels: np.ndarray


def fast_steps(image_processor: Any, settings: Mapping[str, Any]) -> FastSteps | None:
    r"""
    Args:
        image_processor: The image processor.
        settings: The values of `SETTINGS`, those of the image processor or of one call.

    Returns:
        Its steps; `None` if it has others than those of transformers' PIL backend.
    """
    kind = type(image_processor)
    own = any(getattr(kind, name, None) is not getattr(PilBackend, name) for name in (*_STEPS, *_ENTRIES))
    mode = _MODES.get(settings["resample"])
    if own or mode is None or not settings["do_resize"] or not settings["do_rescale"] or settings["do_pad"]:
        return None
    levels = np.tile(np.arange(256, dtype=np.uint8), (3, 1, 1))
    levels = image_processor.rescale(levels, settings["rescale_factor"])
    if settings["do_normalize"]:
        levels = image_processor.normalize(levels, settings["image_mean"], settings["image_std"])
    crop_size = None
    if settings["do_center_crop"]:
        size = dict(settings["crop_size"])
        crop_size = size["height"], size["width"]
    return FastSteps(mode, crop_size, levels[:, 0].astype(np.float32, copy=False))


def fast_pixels(image: Image.Image, size: Sequence[int], steps: FastSteps) -> np.ndarray | None:
    r"""
    Args:
        image: An RGB image.
        size: Height and width to resize it to.
        steps: The steps.

    Returns:
        `(3, H, W)`; `None` if the image is to be enlarged, or if the centre crop exceeds the resized image, which the
        image processor pads.
    """
    if size[0] > image.height or size[1] > image.width:
        return None
    top = left = 0
    height, width = size
    if steps.crop_size is not None:
        height, width = steps.crop_size
        top, left = (size[0] - height) // 2, (size[1] - width) // 2
        if top < 0 or left < 0:
            return None
    pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)  # (3, h, w), channels last in memory
    if image.size != (size[1], size[0]):
        resized = torch.nn.functional.interpolate(
            pixels.unsqueeze(0), size=tuple(size), mode=steps.mode, align_corners=False, antialias=True
        )
        pixels = resized[0]
    cropped = pixels[:, top : top + height, left : left + width].numpy()
    result = np.empty(cropped.shape, dtype=np.float32)
    for values, channel, levels in zip(result, cropped, steps.levels):
        np.take(levels, channel, out=values, mode="clip")  # unlike the default mode, "clip" writes without a buffer
    return result

"""Images given as NumPy arrays or tensors."""

import numpy as np
import torch

from .image_frames import to_rgb
from .pillow import Image

_CHANNELS = (1, 3, 4)


def from_array(array: np.ndarray | torch.Tensor, where: str) -> Image.Image:
    r"""
    Args:
        array: `(height, width)`, `(height, width, channels)` or `(channels, height, width)`; unsigned bytes, or floats
            from 0 to 1.
        where: Names the image in messages.

    Returns:
        The image in RGB, transparent parts on white.

    Raises:
        ValueError: The array has another shape, dtype or range of values.
    """
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.is_floating_point() else array).numpy()
    if array.ndim == 3 and array.shape[-1] not in _CHANNELS and array.shape[0] in _CHANNELS:
        array = np.moveaxis(array, 0, -1)
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in _CHANNELS)):
        raise ValueError(
            f"{where}: expected an array of shape (height, width), (height, width, channels) or (channels, height, "
            f"width) with 1, 3 or 4 channels, found {array.shape}."
        )
    if np.issubdtype(array.dtype, np.floating):
        finite = np.isfinite(array)
        if not finite.all():
            raise ValueError(f"{where}: the array has {(~finite).sum()} values that are NaN or infinite.")
        if array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"{where}: expected floats from 0 to 1, found {array.min():.3g} to {array.max():.3g}. Convert values "
                "from 0 to 255 with `array.astype('uint8')`; normalized pixels are not supported."
            )
        array = np.rint(array.astype(np.float32) * 255).astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(
            f"{where}: expected an array of uint8 or floats, found {array.dtype}. Convert values from 0 to 255 with "
            "`array.astype('uint8')`."
        )
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return to_rgb(Image.fromarray(np.ascontiguousarray(array)))

"""Opening and checking pictures, whatever form they come in."""

import hashlib
import io
import os
import warnings

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError

# A picture of more pixels is refused before it is decoded: PIL's own threshold, about 0.25 GiB in memory.
MAX_IMAGE_PIXELS = 89_478_485


def is_box(value) -> bool:
    """Whether an object is given as a box `(x0, y0, x1, y1)` rather than as a picture of its own."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return value.ndim == 1
    return isinstance(value, list | tuple) and all(isinstance(number, int | float | np.number) for number in value)


class PictureReader:
    r"""
    Opens the pictures of one batch; each distinct one is decoded once.

    Two sources are the same picture if they are the same object, the same path or the same encoded bytes.

    Args:
        max_pixels (`int`, *optional*): Pictures of more pixels are refused before they are decoded.
    """

    def __init__(self, max_pixels: int = MAX_IMAGE_PIXELS):
        self.max_pixels = max_pixels
        self.pictures = {}

    def read(self, source, where: str) -> tuple[tuple, Image.Image]:
        r"""
        Args:
            source: A PIL image, a path, an array (height × width × channels, channels first, or gray; unsigned bytes,
                or floats from 0 to 1), or a mapping with `bytes` or `path` as `datasets` stores images.
            where: Names the row in messages.

        Returns:
            A key that is equal for equal sources, and the RGB picture.

        Raises:
            ValueError: What is there is not a picture, is damaged, or is too large.
        """
        key, opened = self._open(source, where)
        if key not in self.pictures:
            self.pictures[key] = self._decode(opened, where)
        return key, self.pictures[key]

    def crop(self, key: tuple, box, where: str) -> tuple[tuple, Image.Image]:
        r"""
        Cuts a box out of a picture that was read; what stands out beyond the picture is cut off.

        Args:
            key: As `read` returned it.
            box: `(x0, y0, x1, y1)` in pixels of the picture, EXIF orientation applied.
            where: Names the object in messages.

        Raises:
            ValueError: Not four finite numbers, or no pixel of the picture lies in the box.
        """
        picture = self.pictures[key]
        corners = [float(number) for number in box]
        if len(corners) != 4 or not np.isfinite(corners).all():
            raise ValueError(f"{where}: the box {list(corners)} is not four finite numbers x0, y0, x1, y1.")
        x0, y0 = max(int(np.floor(corners[0])), 0), max(int(np.floor(corners[1])), 0)
        x1, y1 = min(int(np.ceil(corners[2])), picture.width), min(int(np.ceil(corners[3])), picture.height)
        if x0 >= x1 or y0 >= y1:
            raise ValueError(
                f"{where}: no pixel of the picture, {picture.width} × {picture.height}, lies in the box {list(corners)}"
                "; expected x0 < x1 and y0 < y1 in pixels of the whole picture."
            )
        key = (*key, x0, y0, x1, y1)
        if key not in self.pictures:
            self.pictures[key] = picture.crop((x0, y0, x1, y1))
        return key, self.pictures[key]

    def _open(self, source, where: str):
        if isinstance(source, dict):
            encoded, path = source.get("bytes"), source.get("path")
            if encoded is not None:
                return ("bytes", hashlib.sha256(encoded).digest()), io.BytesIO(encoded)
            source = path
        if isinstance(source, str | os.PathLike):
            return ("path", os.fspath(source)), source
        if isinstance(source, Image.Image | np.ndarray | torch.Tensor):
            return ("object", id(source)), source  # two images of one file may have been edited differently
        raise ValueError(
            f"{where}: expected a picture as PIL image, path, array or mapping with `bytes` or `path`, found "
            f"{type(source).__name__}."
        )

    def _decode(self, source, where: str) -> Image.Image:
        if isinstance(source, np.ndarray | torch.Tensor):
            return _from_array(np.asarray(source), where)
        if not isinstance(source, Image.Image):
            where = f"{where}: {source}" if not isinstance(source, io.BytesIO) else where
            try:
                with warnings.catch_warnings():  # our own limit is stricter than the warning and comes right after
                    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
                    source = Image.open(source)
            except Image.DecompressionBombError as error:
                raise ValueError(f"{where}: {error}") from None
            except UnidentifiedImageError:
                raise ValueError(f"{where} is not a picture in any format that PIL knows.") from None
            except OSError as error:
                raise ValueError(f"{where} can't be opened as a picture: {error}.") from error
        if source.width * source.height > self.max_pixels:
            raise ValueError(
                f"{where}: the picture has {source.width} × {source.height} pixels, more than the limit of "
                f"{self.max_pixels:,}, and was not decoded. Shrink it, or raise `max_image_pixels` of the processor."
            )
        try:
            return _to_rgb(source)
        except (OSError, SyntaxError, ValueError) as error:
            raise ValueError(f"{where}: the picture is damaged or truncated: {error}.") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """The first frame, upright, in RGB, transparent parts on white."""
    image.seek(0)
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I;16") or image.mode == "I":
        image = Image.fromarray((np.asarray(image).clip(0, 65535) // 257).astype(np.uint8))
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("RGB")


def _from_array(array: np.ndarray, where: str) -> Image.Image:
    channels = (1, 3, 4)
    if array.ndim == 3 and array.shape[-1] not in channels and array.shape[0] in channels:
        array = np.moveaxis(array, 0, -1)
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in channels)):
        raise ValueError(
            f"{where}: expected an array of shape (height, width), (height, width, channels) or (channels, height, "
            f"width) with 1, 3 or 4 channels, found {array.shape}."
        )
    if np.issubdtype(array.dtype, np.floating):
        if not np.isfinite(array).all():
            raise ValueError(f"{where}: the picture has {(~np.isfinite(array)).sum()} values that are NaN or infinite.")
        if array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"{where}: a picture of floats has values from 0 to 1, found {array.min():.3g} to {array.max():.3g}. "
                "Convert values from 0 to 255 with `array.astype('uint8')`; normalised pixels can't be used."
            )
        array = (array.astype(np.float64) * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"{where}: expected an array of uint8 or floats, found {array.dtype}.")
    if array.ndim == 3 and array.shape[-1] == 1:
        array = array[..., 0]
    return _to_rgb(Image.fromarray(array))

"""Opening images from files, bytes, arrays and PIL images."""

import errno
import io
import os
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from .image_arrays import from_array
from .image_frames import is_closed_unread, is_on_its_side, to_rgb
from .image_sources import as_source, path_advice, short_name
from .pillow import Image, UnidentifiedImageError

# Images with more pixels are rejected before they are decoded. At this size PIL starts to warn; it takes about 0.25 GiB
# of memory.
MAX_IMAGE_PIXELS = 89_478_485


class UnreadableFile(ValueError):
    """A file that cannot be read: it does not exist, or the operating system denies access. Its content may be fine."""


def open_image(value: Any, where: str, max_pixels: int = MAX_IMAGE_PIXELS) -> Image.Image:
    r"""
    Args:
        value: As for `ImageBatch.add`. It is not modified.
        where: Names the image in messages.
        max_pixels: Larger images are rejected before they are decoded.

    Returns:
        The image in RGB: the first frame, upright, transparent parts on white. A PIL image that was copied, pickled or
        closed has a single frame: the one selected at that time.

    Raises:
        UnreadableFile: The file cannot be read.
        ValueError: The content is not an image, is damaged or too large.
    """
    source = as_source(value)
    if isinstance(source, np.ndarray | torch.Tensor):
        return from_array(source, where)
    if isinstance(source, Image.Image):
        return _decode(source, where, max_pixels)
    image, where = _opened(source, where, max_pixels)
    with image:
        return _decode(image, where, max_pixels)


def upright_size(value: Any, where: str, max_pixels: int = MAX_IMAGE_PIXELS) -> tuple[int, int]:
    r"""
    Width and height of the image that `open_image` returns, from the header of a file, without its pixels.

    Args:
        value, where, max_pixels: See `open_image`.

    Raises:
        UnreadableFile, ValueError: As for `open_image`, apart from damaged pixels.
    """
    source = as_source(value)
    if isinstance(source, np.ndarray | torch.Tensor) or (isinstance(source, Image.Image) and source.tell() != 0):
        return open_image(source, where, max_pixels).size
    if isinstance(source, Image.Image):
        return _upright_size(source, where, max_pixels)
    image, where = _opened(source, where, max_pixels)
    with image:
        return _upright_size(image, where, max_pixels)


def _opened(source: Any, where: str, max_pixels: int) -> tuple[Image.Image, str]:
    """An image whose pixels are not read yet, and its name in messages."""
    file, where = _file(source, where)
    if not isinstance(file, io.BytesIO) and os.path.exists(file) and not os.path.isfile(file):
        # Reading a pipe may never end.
        raise ValueError(f"{where}: expected a file, found a folder, a pipe or a device.")
    try:
        return Image.open(file), where
    except FileNotFoundError:
        raise UnreadableFile(f"{where}: no such file. {path_advice(file)}") from None
    except UnidentifiedImageError:
        raise ValueError(f"{where}: the file is not in an image format that PIL can read.") from None
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{where}: {error} It was not decoded. Shrink the image; or, if you trust it, raise `max_image_pixels` of "
            f"the processor, now {max_pixels:,}, and `PIL.Image.MAX_IMAGE_PIXELS`."
        ) from None
    except Exception as error:  # decoders raise arbitrary errors for damaged headers
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise UnreadableFile(f"{where}: the path is too long. {path_advice(file)}") from None
        _raise_if_unreadable(error, where)
        raise ValueError(
            f"{where}: the file cannot be opened as an image: {error}. Replace it, or leave the image out."
        ) from error


def _file(source: Any, where: str) -> tuple[Any, str]:
    """The file to pass to PIL, and its name in messages."""
    content = None
    if isinstance(source, Mapping):
        content, source = source.get("bytes"), source.get("path")
    return (source if content is None else io.BytesIO(content)), f"{where}, {short_name(source)}" if source else where


def _check_size(image: Image.Image, where: str, max_pixels: int) -> None:
    if image.width * image.height > max_pixels:
        raise ValueError(
            f"{where}: the image has {image.width} × {image.height} pixels, more than the limit of {max_pixels:,}, "
            "and was not decoded. Shrink it; or, if you trust it, raise `max_image_pixels` of the processor."
        )


def _upright_size(image: Image.Image, where: str, max_pixels: int) -> tuple[int, int]:
    _check_size(image, where, max_pixels)
    try:
        swapped = is_on_its_side(image)
    except Exception as error:  # decoders raise arbitrary errors for damaged metadata
        raise ValueError(f"{where}: the orientation of the image cannot be read: {error}") from error
    return (image.height, image.width) if swapped else image.size


def _decode(image: Image.Image, where: str, max_pixels: int) -> Image.Image:
    _check_size(image, where, max_pixels)
    if image.format == "EPS":  # PIL would run it in Ghostscript
        raise ValueError(f"{where}: the file is a PostScript program, which is not executed; convert it to an image.")
    if is_closed_unread(image):
        raise ValueError(
            f"{where}: the {image.format} file was closed before its pixels were read. Call `image.load()` before "
            "closing it, or pass the path."
        )
    try:
        return to_rgb(image)
    except Exception as error:  # decoders raise arbitrary errors for damaged data
        _raise_if_unreadable(error, where)
        raise ValueError(
            f"{where}: the image cannot be decoded; it is damaged, truncated or of an unsupported kind: {error}. "
            "Replace it, or leave it out."
        ) from error


def _raise_if_unreadable(error: Exception, where: str) -> None:
    """Tells errors of the operating system, which have a number, from an `OSError` of a decoder."""
    if isinstance(error, OSError) and error.errno is not None:
        raise UnreadableFile(f"{where}: the file cannot be read: {error}.") from error

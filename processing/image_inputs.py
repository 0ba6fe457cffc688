"""Opening, checking and cutting images, whatever form they come in."""

import errno
import hashlib
import io
import math
import os
from collections.abc import Container, Hashable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from .image_frames import is_closed_unread, to_rgb
from .image_sources import as_source, is_open_file, path_advice, short_name
from .invalid_post import blaming
from .pillow import Image, UnidentifiedImageError

# An image of more pixels is refused before it is decoded: where PIL begins to warn, about 0.25 GiB in memory.
MAX_IMAGE_PIXELS = 89_478_485
# Image processors that scale the shorter side to 224 pixels would make gigabytes of a narrower strip.
MAX_SIDE_RATIO = 1000


def is_box(value: Any) -> bool:
    """Whether an object is given as a box `(x0, y0, x1, y1)` rather than as an image of its own."""
    if isinstance(value, np.ndarray | torch.Tensor):
        return value.ndim == 1
    return isinstance(value, list | tuple) and all(isinstance(number, int | float | np.number) for number in value)


class ImageBatch:
    r"""
    The distinct images of a batch, and the boxes to cut out of them.

    Two images are the same if they are the same Python object, have the same path or the same encoded bytes; two
    boxes if they are equal and on the same image. Each image is decoded once, and only one is in memory at a time.
    """

    def __init__(self):
        self._images = {}  # key -> (source, where, field, {box or None: (number, where)})
        self._keys = {}  # of sources that came before, by identity, and they themselves: it would go to others else
        self._parts = []  # (key, box or None) of every number

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[tuple[Hashable, tuple | None]]:
        """The key of the image and the box (`None` for all of it) of every number; a key for what comes of it."""
        return iter(self._parts)

    def add(self, source: Any, where: str, field: str = "image") -> tuple[Hashable, int]:
        r"""
        Args:
            source: A PIL image; a path; the bytes of a file; an array of shape (height, width), (height, width,
                channels) or (channels, height, width), unsigned bytes or floats from 0 to 1; or a mapping with `bytes`
                or `path` as `datasets` stores images.
            where: Names the image in messages.
            field: The key of the post that it comes from.

        Returns:
            A key that is equal for equal images, for `add_box`, and the image's number in the batch.
        """
        if id(source) not in self._keys:  # all pairs of a post have one image: its bytes are digested once
            with blaming(field):
                self._keys[id(source)] = image_key(source, where), source
        key = self._keys[id(source)][0]
        if key not in self._images:
            self._images[key] = (source, where, field, {})
        return key, self._number(key, None, where)

    def add_box(self, key: Hashable, box: Any, where: str) -> int:
        r"""
        Args:
            key: Of the image, from `add`.
            box: `(x0, y0, x1, y1)` in pixels of the upright image; what stands out beyond it is cut off.
            where: Names the object in messages.

        Returns:
            The number of that part of the image in the batch.
        """
        with blaming("objects"):
            return self._number(key, _checked_box(box, where), where)

    def open(
        self, max_pixels: int = MAX_IMAGE_PIXELS, known: Container = ()
    ) -> Iterator[tuple[list[tuple[Hashable, tuple | None]], list[Image.Image]]]:
        r"""
        Args:
            max_pixels: Larger files are refused before they are decoded.
            known: Parts, as iteration gives them, that are not wanted.

        Yields:
            For each image the parts that are wanted of it, and their RGB images.

        Raises:
            InvalidPost: What is there is not an image, is damaged or too large, or a box lies outside.
        """
        for key, (source, where, field, parts) in self._images.items():
            wanted = {box: place for box, (_, place) in parts.items() if (key, box) not in known}
            if not wanted:
                continue
            with blaming(field):
                image = open_image(source, where, max_pixels)
            images = []
            for box, place in wanted.items():
                with blaming(field if box is None else "objects"):
                    images.append(crop(image, box, place))
            yield [(key, box) for box in wanted], images

    def sources(self) -> Iterator[tuple[Any, str, dict[tuple | None, int]]]:
        """For each image where it comes from, its name in messages, and the number of every part that is wanted."""
        for source, where, _, parts in self._images.values():
            yield source, where, {box: number for box, (number, _) in parts.items()}

    def _number(self, key: Hashable, box: tuple | None, where: str) -> int:
        parts = self._images[key][-1]
        if box not in parts:
            parts[box] = (len(self._parts), where)
            self._parts.append((key, box))
        return parts[box][0]


class _TheSame:
    """Equal for the same Python object. It keeps the object, whose identity would go to another one otherwise."""

    def __init__(self, value: Any):
        self._value = value

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _TheSame) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


class UnreadableFile(ValueError):
    """A file that can't be read, here and now: it is not there, or the system refuses. Its content is not to blame."""


def open_image(source: Any, where: str, max_pixels: int = MAX_IMAGE_PIXELS) -> Image.Image:
    r"""
    Args:
        source: As for `ImageBatch.add`.
        where: Names the image in messages.
        max_pixels: Larger files are refused before they are decoded.

    Returns:
        The image in RGB: the first frame, upright, transparent parts on white. `source` is left as it is. A PIL image
        that was copied, pickled or closed has one frame, the one that it showed then.

    Raises:
        UnreadableFile: The file can't be read.
        ValueError: What is there is not an image, is damaged or too large.
    """
    source = as_source(source)
    if isinstance(source, np.ndarray | torch.Tensor):
        return _from_array(source, where)
    if isinstance(source, Image.Image):
        return _decoded(source, where, max_pixels)
    file, where = _file(source, where)
    if not isinstance(file, io.BytesIO) and os.path.exists(file) and not os.path.isfile(file):
        raise ValueError(
            f"{where}: expected a file, found a folder, a pipe or a device."
        )  # reading a pipe may never end
    try:
        image = Image.open(file)
    except FileNotFoundError:
        raise UnreadableFile(f"{where}: there is no such file. {path_advice(file)}") from None
    except UnidentifiedImageError:
        raise ValueError(f"{where} is not an image in any format that PIL knows.") from None
    except Image.DecompressionBombError as error:
        raise ValueError(
            f"{where}: {error} It was not decoded. Shrink it; or, if you trust it, raise `max_image_pixels` of the "
            f"processor, now {max_pixels:,}, and `PIL.Image.MAX_IMAGE_PIXELS`."
        ) from None
    except Exception as error:  # decoders raise whatever a damaged header leads them to
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise UnreadableFile(f"{where}: the path is too long. {path_advice(file)}") from None
        _refuse_unreadable(error, where)
        raise ValueError(f"{where} can't be opened as an image: {error}") from error
    with image:
        return _decoded(image, where, max_pixels)


def crop(image: Image.Image, box: tuple[float, float, float, float] | None, where: str) -> Image.Image:
    r"""
    Cuts a box out of an image, every pixel that it touches; `None` is the whole image.

    Raises:
        ValueError: No pixel of the image lies in the box, the box is in fractions of the image, or what is cut out
            is a strip.
    """
    part = image if box is None else image.crop(_pixels_of(box, image.size, where))
    _check_shape(part.size, where)
    return part


def check_box(box: Any, size: Sequence[int], where: str) -> None:
    r"""
    Args:
        box: `(x0, y0, x1, y1)`.
        size: Width and height of the upright image.
        where: Names the box in messages.

    Raises:
        ValueError: What is there is not four numbers, or `crop` would refuse the box or what it cuts out.
    """
    x0, y0, x1, y1 = _pixels_of(_checked_box(box, where), size, where)
    _check_shape((x1 - x0, y1 - y0), where)


def _pixels_of(box: tuple[float, float, float, float], size: Sequence[int], where: str) -> tuple[int, int, int, int]:
    """The corners of all pixels that a box touches."""
    width, height = size
    if max(box) <= 1 < max(size):
        raise ValueError(
            f"{where}: the box {list(box)} seems to be in fractions of the image, {width} × {height}; expected "
            "pixels: multiply by its width and height."
        )
    x0, y0, x1, y1 = box
    x0, y0 = max(math.floor(x0), 0), max(math.floor(y0), 0)
    x1, y1 = min(math.ceil(x1), width), min(math.ceil(y1), height)
    if x0 >= x1 or y0 >= y1:
        raise ValueError(
            f"{where}: no pixel of the image, {width} × {height}, lies in the box {list(box)}; expected x0 < x1 and "
            "y0 < y1, in pixels of the whole upright image."
        )
    return x0, y0, x1, y1


def image_key(source: Any, where: str) -> tuple:
    """Equal for images that are the same Python object, have the same path or the same encoded bytes."""
    source = as_source(source)
    if isinstance(source, Image.Image | np.ndarray | torch.Tensor):
        return "object", _TheSame(source)
    if isinstance(source, Mapping):
        content = source.get("bytes")
        if isinstance(content, bytes | bytearray | memoryview):
            return "bytes", hashlib.sha256(content).digest()
        if content is not None:
            raise ValueError(f"{where}: `bytes` of the image are {content!r:.80}; expected the bytes of its file.")
        source = source.get("path")
    if isinstance(source, str | os.PathLike):
        return "path", os.fspath(source)
    found = type(source).__name__
    if is_open_file(source):
        found += ", an open file: pass the bytes, `file.read()`, or the path"
    raise ValueError(
        f"{where}: expected an image as PIL image, path, array, bytes of a file or mapping with `bytes` or `path` "
        f"(or, among objects, a box of four numbers), found {found}."
    )


def _file(source: Any, where: str) -> tuple[Any, str]:
    """What PIL is to open, and its name in messages."""
    content = None
    if isinstance(source, Mapping):
        content, source = source.get("bytes"), source.get("path")
    return (source if content is None else io.BytesIO(content)), f"{where}, {short_name(source)}" if source else where


def _decoded(image: Image.Image, where: str, max_pixels: int) -> Image.Image:
    if image.width * image.height > max_pixels:
        raise ValueError(
            f"{where}: the image has {image.width} × {image.height} pixels, more than the limit of {max_pixels:,}, "
            "and was not decoded. Shrink it; or, if you trust it, raise `max_image_pixels` of the processor."
        )
    if image.format == "EPS":  # PIL has Ghostscript run it
        raise ValueError(f"{where} is a program in PostScript and is not run; convert it to an image.")
    if is_closed_unread(image):
        raise ValueError(
            f"{where}: the file of the {image.format} image was closed before its pixels were read. Call "
            "`image.load()` before the file is closed, or pass the path."
        )
    try:
        return to_rgb(image)
    except Exception as error:  # decoders raise whatever damaged data leads them to
        _refuse_unreadable(error, where)
        raise ValueError(f"{where}: the image is damaged, truncated or of an unknown kind: {error}") from error


def _refuse_unreadable(error: Exception, where: str) -> None:
    """Decoders raise `OSError`, too; that of the system has a number."""
    if isinstance(error, OSError) and error.errno is not None:
        raise UnreadableFile(f"{where} can't be read: {error}.") from error


def _from_array(array: np.ndarray | torch.Tensor, where: str) -> Image.Image:
    if isinstance(array, torch.Tensor):
        array = array.detach().cpu()
        array = (array.float() if array.is_floating_point() else array).numpy()
    channels = (1, 3, 4)
    if array.ndim == 3 and array.shape[-1] not in channels and array.shape[0] in channels:
        array = np.moveaxis(array, 0, -1)
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[-1] in channels)):
        raise ValueError(
            f"{where}: expected an array of shape (height, width), (height, width, channels) or (channels, height, "
            f"width) with 1, 3 or 4 channels, found {array.shape}."
        )
    if np.issubdtype(array.dtype, np.floating):
        finite = np.isfinite(array)
        if not finite.all():
            raise ValueError(f"{where}: the image has {(~finite).sum()} values that are NaN or infinite.")
        if array.min() < 0 or array.max() > 1:
            raise ValueError(
                f"{where}: an image of floats has values from 0 to 1, found {array.min():.3g} to {array.max():.3g}. "
                "Convert values from 0 to 255 with `array.astype('uint8')`; normalised pixels can't be used."
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


def _checked_box(box: Any, where: str) -> tuple[float, float, float, float]:
    try:
        corners = tuple(float(number) for number in box)
    except OverflowError:  # whole numbers have no end in JSON
        corners = (math.inf,)
    except TypeError:
        raise ValueError(f"{where}: the box {box!r:.80} is not four finite numbers x0, y0, x1, y1.") from None
    if len(corners) != 4 or not all(map(math.isfinite, corners)):
        raise ValueError(f"{where}: the box {list(corners)} is not four finite numbers x0, y0, x1, y1.")
    return corners


def _check_shape(size: Sequence[int], where: str) -> None:
    if max(size) > MAX_SIDE_RATIO * min(size):
        raise ValueError(
            f"{where} is a strip of {size[0]} × {size[1]} pixels; expected one side to be at most {MAX_SIDE_RATIO} "
            "times the other."
        )

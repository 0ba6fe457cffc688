"""The distinct images of a batch, and the boxes to crop from them."""

from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple

from .image_boxes import Box, as_box, crop
from .image_opening import MAX_IMAGE_PIXELS, open_image, upright_size
from .image_sources import image_key
from .invalid_post import blaming
from .pillow import Image


class ImagePart(NamedTuple):
    r"""
    A box on an image, or the whole image if `box` is `None`; equal for equal parts of equal images.

    Args:
        key: Identifies the image.
        box: `(x0, y0, x1, y1)` in pixels of the upright image.
        squash: Whether the part is squashed to the encoder's size, see `Squashed`.
    """

    key: Hashable
    box: Box | None
    squash: bool = False


@dataclass
class _ImageEntry:
    """An image of the batch, and for each wanted part its number and name in messages."""

    source: Any
    where: str
    field: str
    parts: dict[ImagePart, tuple[int, str]] = dataclass_field(default_factory=dict)
    size: tuple[int, int] | None = None


class ImageBatch:
    r"""
    The distinct images of a batch, and the boxes to crop from them, numbered in the order in which they were added.

    Two images are equal if they are the same Python object, or have the same path or the same encoded bytes; two boxes
    are equal if they have the same corners on equal images. Each image is decoded once, and only one decoded image is
    in memory at a time.
    """

    def __init__(self):
        self._images: dict[Hashable, _ImageEntry] = {}
        # Keys of the sources added before, by `id`; the sources are kept alive so that their ids are not reused.
        self._keys: dict[int, tuple[Hashable, Any]] = {}
        self._parts: list[ImagePart] = []

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[ImagePart]:
        """The part of each number."""
        return iter(self._parts)

    def add(self, source: Any, where: str, field: str = "image", squash: bool = False) -> tuple[Hashable, int]:
        r"""
        Args:
            source: A PIL image; a path; the bytes of a file; an array of shape (height, width), (height, width,
                channels) or (channels, height, width), unsigned bytes or floats from 0 to 1; or a mapping with `bytes`
                or `path`, as `datasets` stores images.
            where: Names the image in messages.
            field: The key of the post that contains it.
            squash: See `ImagePart`.

        Returns:
            The key of the image, for `add_box`, and the number of the image in the batch.
        """
        key = self.add_source(source, where, field)
        return key, self._number(ImagePart(key, None, squash), where)

    def add_source(self, source: Any, where: str, field: str = "image") -> Hashable:
        """As `add`, for an image of which only boxes are wanted; returns its key."""
        if id(source) not in self._keys:  # the pairs of a post share one image, whose bytes are hashed once
            with blaming(field):
                self._keys[id(source)] = image_key(source, where), source
        key = self._keys[id(source)][0]
        if key not in self._images:
            self._images[key] = _ImageEntry(source, where, field)
        return key

    def add_box(self, key: Hashable, box: Any, where: str, squash: bool = False) -> int:
        r"""
        Args:
            key: The key of the image, from `add`.
            box: `(x0, y0, x1, y1)` in pixels of the upright image; it is clipped to the image.
            where: Names the object in messages.
            squash: See `ImagePart`.

        Returns:
            The number of the crop in the batch.
        """
        with blaming("objects"):
            return self._number(ImagePart(key, as_box(box, where), squash), where)

    def open(
        self, max_pixels: int = MAX_IMAGE_PIXELS, known: Container = ()
    ) -> Iterator[tuple[list[ImagePart], list[Image.Image]]]:
        r"""
        Args:
            max_pixels: Larger images are rejected before they are decoded.
            known: Parts to skip.

        Yields:
            For each image, its wanted parts and their RGB images.

        Raises:
            InvalidPost: The content is not an image, is damaged or too large, or a box lies outside the image.
        """
        for entry in self._images.values():
            wanted = {part: where for part, (_, where) in entry.parts.items() if part not in known}
            if not wanted:
                continue
            with blaming(entry.field):
                image = open_image(entry.source, entry.where, max_pixels)
            entry.size = image.size
            images = []
            for part, where in wanted.items():
                with blaming(entry.field if part.box is None else "objects"):
                    images.append(crop(image, part.box, where))
            yield [*wanted], images

    def size(self, key: Hashable, max_pixels: int = MAX_IMAGE_PIXELS) -> tuple[int, int]:
        """Width and height of an upright image, read from its header unless it has been opened; see `open`."""
        entry = self._images[key]
        if entry.size is None:
            with blaming(entry.field):
                entry.size = upright_size(entry.source, entry.where, max_pixels)
        return entry.size

    def sources(self) -> Iterator[tuple[Any, str, dict[ImagePart, int]]]:
        """For each image its source, its name in messages, and the numbers of its wanted parts."""
        for entry in self._images.values():
            yield entry.source, entry.where, {part: number for part, (number, _) in entry.parts.items()}

    def _number(self, part: ImagePart, where: str) -> int:
        parts = self._images[part.key].parts
        if part not in parts:
            parts[part] = (len(self._parts), where)
            self._parts.append(part)
        return parts[part][0]

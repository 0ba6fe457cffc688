"""The distinct images of a batch, and the boxes to crop from them."""

from collections.abc import Container, Hashable, Iterator
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Any, NamedTuple

from .image_boxes import Box, as_box, crop
from .image_opening import MAX_IMAGE_PIXELS, open_image
from .image_sources import image_key
from .invalid_post import blaming
from .pillow import Image


class ImagePart(NamedTuple):
    """A box on an image, or the whole image if `box` is `None`; equal for equal parts of equal images."""

    key: Hashable
    box: Box | None


@dataclass
class _ImageEntry:
    """An image of the batch, and for each wanted box (`None` for the whole image) its number and name in messages."""

    source: Any
    where: str
    field: str
    boxes: dict[Box | None, tuple[int, str]] = dataclass_field(default_factory=dict)


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

    def add(self, source: Any, where: str, field: str = "image") -> tuple[Hashable, int]:
        r"""
        Args:
            source: A PIL image; a path; the bytes of a file; an array of shape (height, width), (height, width,
                channels) or (channels, height, width), unsigned bytes or floats from 0 to 1; or a mapping with `bytes`
                or `path`, as `datasets` stores images.
            where: Names the image in messages.
            field: The key of the post that contains it.

        Returns:
            The key of the image, for `add_box`, and the number of the image in the batch.
        """
        key = self.add_source(source, where, field)
        return key, self._number(key, None, where)

    def add_source(self, source: Any, where: str, field: str = "image") -> Hashable:
        """As `add`, for an image of which only boxes are wanted; returns its key."""
        if id(source) not in self._keys:  # the pairs of a post share one image, whose bytes are hashed once
            with blaming(field):
                self._keys[id(source)] = image_key(source, where), source
        key = self._keys[id(source)][0]
        if key not in self._images:
            self._images[key] = _ImageEntry(source, where, field)
        return key

    def add_box(self, key: Hashable, box: Any, where: str) -> int:
        r"""
        Args:
            key: The key of the image, from `add`.
            box: `(x0, y0, x1, y1)` in pixels of the upright image; it is clipped to the image.
            where: Names the object in messages.

        Returns:
            The number of the crop in the batch.
        """
        with blaming("objects"):
            return self._number(key, as_box(box, where), where)

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
        for key, entry in self._images.items():
            wanted = {box: where for box, (_, where) in entry.boxes.items() if (key, box) not in known}
            if not wanted:
                continue
            with blaming(entry.field):
                image = open_image(entry.source, entry.where, max_pixels)
            images = []
            for box, where in wanted.items():
                with blaming(entry.field if box is None else "objects"):
                    images.append(crop(image, box, where))
            yield [ImagePart(key, box) for box in wanted], images

    def sources(self) -> Iterator[tuple[Any, str, dict[Box | None, int]]]:
        """For each image its source, its name in messages, and the numbers of its wanted parts."""
        for entry in self._images.values():
            yield entry.source, entry.where, {box: number for box, (number, _) in entry.boxes.items()}

    def _number(self, key: Hashable, box: Box | None, where: str) -> int:
        boxes = self._images[key].boxes
        if box not in boxes:
            boxes[box] = (len(self._parts), where)
            self._parts.append(ImagePart(key, box))
        return boxes[box][0]

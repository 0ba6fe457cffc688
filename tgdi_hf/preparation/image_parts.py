"""The distinct images of a dataset and the parts to cut out of each, so that every part is encoded once."""

import logging
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset
from PIL import Image

from ..data.dataset_columns import undecoded
from ..data.image_identity import digest_of
from ..processing.image_boxes import Box, crop, is_box
from ..processing.image_opening import open_image
from ..processing.image_resizing import NOT_SQUASHED, Squashed
from .vision_feature_store import FeatureKey, part_key

logger = logging.getLogger(__name__)


class Part(NamedTuple):
    r"""
    Args:
        box: `(x0, y0, x1, y1)` in pixels; `None` for the whole image.
        squash: Whether the part is squashed to the encoder's size, see `Squashed`.
    """

    box: Box | None
    squash: bool = False


@dataclass
class ImageParts:
    r"""
    A distinct image, and the parts of it that a model reads.

    Args:
        split, row: The first post with this image.
        place: Index of the image among the objects of the post; `None` for the image of the post.
        parts: The parts by `part_key`.
    """

    split: str
    row: int
    place: int | None
    parts: dict[str, Part]


def images_only(rows: Dataset) -> Dataset:
    """The columns `image` and `objects`, as paths and bytes."""
    rows = undecoded(rows)
    return rows.select_columns([name for name in ("image", "objects") if name in rows.column_names])


def find_image_parts(
    dataset: Mapping[str, Dataset], num_objects: int, squashed: Squashed = NOT_SQUASHED
) -> dict[str, ImageParts]:
    r"""
    Args:
        dataset: Splits from `images_only`.
        num_objects: Number of objects per post; further objects are ignored.
        squashed: Whether images and objects are squashed.

    Returns:
        The parts of each distinct image, by the digest of its file. Missing files are left out: reading a post with
        such an image raises the error.
    """
    found: dict[str, ImageParts] = {}
    digests: dict[str, str | None] = {}

    def add(source: Any, split: str, row: int, place: int | None, part: Part) -> None:
        if isinstance(source, str):
            source = {"path": source, "bytes": None}
        path = source.get("path") if source.get("bytes") is None else None
        if path is not None and path not in digests:
            digests[path] = digest_of(path) if Path(path).is_file() else None
        digest = digests[path] if path is not None else digest_of(source["bytes"])
        if digest is not None:
            found.setdefault(digest, ImageParts(split, row, place, {})).parts[part_key(*part)] = part

    for split, rows in dataset.items():
        for number, row in enumerate(rows):
            image = row.get("image")
            if image is not None:
                add(image, split, number, None, Part(None, squashed.image))
            for place, value in enumerate((row.get("objects") or [])[:num_objects]):
                if not is_box(value):
                    add(value, split, number, place, Part(None, squashed.objects))
                elif image is not None:
                    add(image, split, number, None, Part(tuple(value), squashed.objects))
    return found


def missing_parts(parts: Mapping[str, ImageParts], known: Container[FeatureKey]) -> dict[str, ImageParts]:
    """The images with parts that have no features yet, reduced to these parts."""
    missing = {}
    for image, of_image in parts.items():
        lacking = {key: part for key, part in of_image.parts.items() if FeatureKey(image, key) not in known}
        if lacking:
            missing[image] = replace(of_image, parts=lacking)
    return missing


def cut_parts(
    image: str,
    parts: ImageParts,
    dataset: Mapping[str, Dataset],
    transform: Callable[[Image.Image, bool], np.ndarray],
    max_pixels: int,
) -> list[tuple[FeatureKey, np.ndarray]]:
    r"""
    Opens an image and cuts out its parts. Logs a warning for an image that cannot be opened, and for each box that
    cannot be cut out of it.

    Args:
        image: The digest of the image file.
        parts: See `ImageParts`.
        dataset: Splits from `images_only`.
        transform: Maps a part, squashed or not, to the pixel values of the encoder, `(3, H, W)`.
        max_pixels: An image with more pixels is refused before it is decoded.

    Returns:
        The pixel values of every usable part.
    """
    row = dataset[parts.split][parts.row]
    source = row["image"] if parts.place is None else row["objects"][parts.place]
    where = f"{parts.split}, row {parts.row}"
    try:
        pil_image = open_image(source, where, max_pixels)
    except ValueError as error:
        logger.warning("No vision features: %s", error)
        return []
    found = []
    for key, part in parts.parts.items():
        try:
            found.append((FeatureKey(image, key), transform(crop(pil_image, part.box, where), part.squash)))
        except ValueError as error:
            logger.warning("No vision features: %s", error)
    return found

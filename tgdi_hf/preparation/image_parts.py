"""The distinct images of a dataset and the boxes to cut out of each, so that every part is encoded once."""

import logging
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from PIL import Image

from ..data.dataset_columns import undecoded
from ..data.image_identity import digest_of
from ..processing.image_boxes import crop, is_box
from ..processing.image_opening import open_image
from .vision_feature_store import Box, FeatureKey, box_key

logger = logging.getLogger(__name__)


@dataclass
class ImageParts:
    r"""
    A distinct image, and the parts of it that a model reads.

    Args:
        split, row: The first post with this image.
        place: Index of the image among the objects of the post; `None` for the image of the post.
        boxes: Boxes in pixels by `box_key`; `None` for the whole image.
    """

    split: str
    row: int
    place: int | None
    boxes: dict[str, Box | None]


def images_only(rows: Dataset) -> Dataset:
    """The columns `image` and `objects`, as paths and bytes."""
    rows = undecoded(rows)
    return rows.select_columns([name for name in ("image", "objects") if name in rows.column_names])


def find_image_parts(dataset: Mapping[str, Dataset], num_objects: int) -> dict[str, ImageParts]:
    r"""
    Args:
        dataset: Splits from `images_only`.
        num_objects: Number of objects per post; further objects are ignored.

    Returns:
        The parts of each distinct image, by the digest of its file. Missing files are left out: reading a post with
        such an image raises the error.
    """
    found: dict[str, ImageParts] = {}
    digests: dict[str, str | None] = {}

    def add(source: Any, split: str, row: int, place: int | None, box: Box | None = None) -> None:
        if isinstance(source, str):
            source = {"path": source, "bytes": None}
        path = source.get("path") if source.get("bytes") is None else None
        if path is not None and path not in digests:
            digests[path] = digest_of(path) if Path(path).is_file() else None
        digest = digests[path] if path is not None else digest_of(source["bytes"])
        if digest is not None:
            found.setdefault(digest, ImageParts(split, row, place, {})).boxes[box_key(box)] = box

    for split, rows in dataset.items():
        for number, row in enumerate(rows):
            image = row.get("image")
            if image is not None:
                add(image, split, number, None)
            for place, part in enumerate((row.get("objects") or [])[:num_objects]):
                if not is_box(part):
                    add(part, split, number, place)
                elif image is not None:
                    add(image, split, number, None, tuple(part))
    return found


def missing_parts(parts: Mapping[str, ImageParts], known: Container[FeatureKey]) -> dict[str, ImageParts]:
    """The images with parts that have no features yet, reduced to these parts."""
    missing = {}
    for image, of_image in parts.items():
        boxes = {key: box for key, box in of_image.boxes.items() if FeatureKey(image, key) not in known}
        if boxes:
            missing[image] = replace(of_image, boxes=boxes)
    return missing


def cut_parts(
    image: str,
    parts: ImageParts,
    dataset: Mapping[str, Dataset],
    transform: Callable[[Image.Image], np.ndarray],
    max_pixels: int,
) -> list[tuple[FeatureKey, np.ndarray]]:
    r"""
    Opens an image and cuts out its parts. Logs a warning for an image that cannot be opened, and for each box that
    cannot be cut out of it.

    Args:
        image: The digest of the image file.
        parts: See `ImageParts`.
        dataset: Splits from `images_only`.
        transform: Maps a part to the pixel values of the encoder, `(3, H, W)`.
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
    for key, box in parts.boxes.items():
        try:
            found.append((FeatureKey(image, key), transform(crop(pil_image, box, where))))
        except ValueError as error:
            logger.warning("No vision features: %s", error)
    return found

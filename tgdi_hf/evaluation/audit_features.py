"""Numeric features of a row that depend on neither the words of its text nor the pixels of its image."""

import io
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from PIL import Image, UnidentifiedImageError

from ..data.dataset_columns import undecoded
from ..data.image_identity import digest_of
from ..processing.head_and_tail import text_and_spans

MISSING = -1.0
IMAGE_FEATURES = ("there is an image", "width", "height", "format", "bytes of the file")


def features_of(dataset: Dataset, extra: Mapping[str, Sequence[float]] | None = None) -> dict[str, np.ndarray]:
    r"""
    Numeric features of rows that depend on neither words nor pixels; a missing value is -1.

    - Entities: whether the head comes first (their position and length are left out: both depend on the words).
    - Text and caption: length in characters and words.
    - Image: whether one exists; width, height, format and size of its file; the number of rows with the same image; the
      length of its name, the digits in it, and its pattern: the name without its numbers, numbered by frequency.
    - Objects: their number; the smallest and largest area of boxes and crops; the size of the files of the crops.
    - Place of the row in the dataset.

    Args:
        dataset: Rows with text or words, head and tail.
        extra: Further features, one value per row.

    Returns:
        From names to arrays of `(rows,)`.

    Raises:
        ValueError: A file is not an image; the message names the row.
    """
    dataset = undecoded(dataset)
    images: dict[str, dict[str, float]] = {}
    rows: list[dict[str, float]] = []
    names, identities = [], []
    for place, row in enumerate(dataset):
        where = f"row {place}"
        text, (head, tail), _ = text_and_spans(row, where)
        caption, name = row.get("caption"), _image_name(row)
        rows.append(
            {
                "head comes first": head <= tail,
                "characters of the text": len(text),
                "words of the text": len(text.split()),
                "characters of the caption": MISSING if caption is None else len(caption),
                "words of the caption": MISSING if caption is None else len(caption.split()),
                "place of the row": place,
                **_object_features(row.get("objects"), images, where),
                **_image_features(row.get("image"), images, where),
                **_name_features(name),
            }
        )
        names.append(re.sub(r"\d+", "#", name))
        identities.append(next(iter(image_identities(row)), None))
    columns = {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    counts = Counter(identities)
    columns["rows with the same image"] = np.array([counts[one] if one else MISSING for one in identities], dtype=float)
    patterns = {pattern: float(place) for place, (pattern, _) in enumerate(Counter(names).most_common())}
    columns["pattern of the image's name"] = np.array([patterns[name] if name else MISSING for name in names])
    return columns | {name: np.asarray(values, dtype=float) for name, values in (extra or {}).items()}


def image_identities(row: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The identities by which the image of a row is recognised in other rows: its content, and its `image_id`."""
    image, found = row.get("image"), []
    if isinstance(image, Mapping):
        found.append(("content", digest_of(image["path"] if image.get("bytes") is None else image["bytes"])))
    return found + ([("name", str(row["image_id"]))] if row.get("image_id") else [])


def _object_features(objects: Sequence[Any] | None, known: dict[str, dict[str, float]], where: str) -> dict[str, float]:
    areas, size = [], 0.0
    for part in objects or ():
        if isinstance(part, Mapping):
            crop = _image_features(part, known, f"{where}, an object")
            areas.append(crop["width"] * crop["height"])
            size += crop["bytes of the file"]
        else:
            x0, y0, x1, y1 = part
            areas.append((x1 - x0) * (y1 - y0))
    return {
        "number of objects": MISSING if objects is None else len(objects),
        "least area of an object": min(areas, default=MISSING),
        "greatest area of an object": max(areas, default=MISSING),
        "bytes of the objects' files": size,
    }


def _image_features(
    image: Mapping[str, Any] | None, known: dict[str, dict[str, float]], where: str
) -> dict[str, float]:
    """From the header of the file; its pixels are not decoded. `known` holds the features of files already read."""
    if image is None:
        return dict.fromkeys(IMAGE_FEATURES, MISSING)
    content, path = image.get("bytes"), image.get("path")
    key = str(path) if content is None else digest_of(content)
    if key not in known:
        size = Path(str(path)).stat().st_size if content is None else len(content)
        try:
            with Image.open(str(path) if content is None else io.BytesIO(content)) as opened:
                kind = sum(map(ord, opened.format or ""))
                known[key] = dict(zip(IMAGE_FEATURES, (1.0, *opened.size, kind, size)))
        except UnidentifiedImageError:
            name = path or "given as bytes"
            raise ValueError(f"{where}: {name} is not an image. Remove the row, or the image from the row.") from None
    return known[key]


def _image_name(row: Mapping[str, Any]) -> str:
    """The `image_id` of a row or the name of its image file; empty if it has neither."""
    image = row.get("image")
    path = image.get("path") if isinstance(image, Mapping) else None
    return str(row.get("image_id") or (Path(path).name if path else ""))


def _name_features(name: str) -> dict[str, float]:
    digits = re.findall(r"\d+", name)
    return {
        "length of the image's name": len(name) if name else MISSING,
        "first number in the image's name": float(digits[0][:15]) if digits else MISSING,
        "digits in the image's name": sum(map(len, digits)) if name else MISSING,
    }

"""Stub models and small inputs for tests of the preparation."""

import hashlib
import json

import numpy as np
from datasets import Dataset, DatasetDict
from PIL import Image

TEXT = "JFK and Obama at Harvard"


POST = {"text": TEXT, "head": [0, 3], "tail": [17, 24]}


class StubCaptioner:
    """Captions an image with its size and mean brightness, and records the sizes of its batches."""

    def __init__(self, **settings):
        self.settings = {"model": "stub", **settings}
        self.batches = []

    def __call__(self, images):
        self.batches.append(len(images))
        return [f"{image.width} by {image.height}, {np.asarray(image).mean():.1f}" for image in images]


class StubGrounder(StubCaptioner):
    """Detects the first phrase in the upper left quarter of every image."""

    def __call__(self, images, phrases):
        self.batches.append(len(images))
        return [
            [{"box": [0.0, 0.0, image.width / 2, image.height / 2], "score": 0.5, "phrase": row[0]}]
            for image, row in zip(images, phrases, strict=True)
        ]


def saved_image(folder, name, shade=100, size=(12, 8), **options):
    """The path of a new image file in a uniform gray."""
    path = folder / name
    Image.new("RGB", size, (shade, shade, shade)).save(path, **options)
    return str(path)


def posts(*rows):
    """A `DatasetDict` with the split `train`."""
    columns = {name: [row.get(name) for row in rows] for name in dict.fromkeys(name for row in rows for name in row)}
    for name in ("head", "tail"):  # a column has one type
        if len({type(value) for value in columns[name]}) > 1:
            columns[name] = [value if isinstance(value, str) else json.dumps(value) for value in columns[name]]
    return DatasetDict(train=Dataset.from_dict(columns))


def files(folder):
    """Digests of all files in a folder, by relative path."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }

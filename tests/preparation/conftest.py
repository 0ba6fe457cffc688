"""Fixtures of the preparation: options of `prepare`, a frozen encoder and posts with images."""

import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature
from PIL import Image

from .vision_helpers import TEXT


@pytest.fixture
def options(tmp_path):
    """A cache for this test only, and no progress bars."""
    return {"cache": tmp_path / "cache", "progress": False}


@pytest.fixture
def frozen(model):
    """A tiny TGDI model with a frozen vision encoder."""
    model.freeze_vision_encoder()
    return model


@pytest.fixture
def images(tmp_path):
    """Four posts with two distinct images, one of them with two boxes."""
    generator = np.random.default_rng(0)
    paths = []
    for name in ("a.png", "b.png"):
        Image.fromarray(generator.integers(0, 255, (80, 100, 3), dtype=np.uint8)).save(tmp_path / name)
        paths.append(str(tmp_path / name))
    rows = [
        {**TEXT, "image": paths[0], "objects": [[0.0, 0.0, 50.0, 40.5], [10.0, 10.0, 90.0, 70.0]]},
        {**TEXT, "image": paths[1], "objects": []},
        {**TEXT, "image": paths[0], "objects": []},
        {**TEXT, "image": None, "objects": []},
    ]
    return DatasetDict(train=Dataset.from_list(rows).cast_column("image", ImageFeature()))

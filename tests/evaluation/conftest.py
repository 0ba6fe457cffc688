import json

import numpy as np
import pytest


@pytest.fixture
def balanced(checkpoint):
    """A checkpoint whose configuration declares that it was trained on both orders."""
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "direction_balanced": True}))
    return checkpoint


@pytest.fixture
def two_models():
    """True ids of 300 rows, and those predicted by a worse and by a better model."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 300)
    better = np.where(generator.random(300) < 0.8, labels, generator.integers(0, 4, 300))
    worse = np.where(generator.random(300) < 0.5, labels, generator.integers(0, 4, 300))
    return labels, worse, better

import numpy as np
import pytest
from PIL import Image

from tgdi_hf.inference.heat_map import WARM, heat_map, seen_image


def test_the_image_is_what_went_in(processor):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    pixels = processor(text="a b", head=(0, 1), tail=(2, 3), images=image)["pixel_values"][0, 0]
    seen = seen_image(processor, pixels)
    assert seen.size == (64, 64)  # the tiny model's size, so nothing was resized
    assert np.abs(np.asarray(seen).astype(int) - np.asarray(image)).max() <= 1


def test_heat_lies_where_the_weights_are():
    weights = np.zeros((4, 4), dtype=np.float32)
    weights[0, 3] = 0.01  # little, but the most there is
    heat = np.asarray(heat_map(Image.new("RGB", (32, 32), "blue"), weights, size=64)).astype(int)
    assert heat.shape == (64, 64, 3)
    expected = 0.45 * np.array([0, 0, 255]) + 0.55 * np.array(WARM)
    assert heat[4, 60] == pytest.approx(expected, abs=2)  # top right
    assert heat[60, 4, 0] == heat[60, 4, 1] == heat[60, 4, 2]  # grey elsewhere
    assert heat_map(Image.new("RGB", (60, 30)), np.zeros((2, 4))).size == (448, 224)

import numpy as np
import pytest
from PIL import Image

from tgdi_hf.inference.heat_map import BAR_COLOURS, COLD, WARM, heat_map, outline, resized

BLUE = Image.new("RGB", (32, 32), "blue")
GREY = 0.55 * 29 + 90  # the base of a blue pixel, whose luma is 29


def coloured(hue, cosine, colour=(0, 0, 255), grey=GREY):
    """A pixel by hand: between grey and the half transparent hue."""
    return (1 - abs(cosine)) * grey + abs(cosine) * (0.45 * np.array(colour) + 0.55 * np.array(hue))


def test_colours_of_a_map_by_hand():
    cosine = np.zeros((4, 4), dtype=np.float32)
    cosine[0, 3], cosine[3, 3] = 1, -0.5
    pixels = np.asarray(heat_map(BLUE, cosine, size=64)).astype(int)
    assert pixels.shape == (64, 64, 3)
    assert pixels[2, 62] == pytest.approx(coloured(WARM, 1), abs=2)  # top right
    assert pixels[62, 62] == pytest.approx(coloured(COLD, 0.5), abs=2)  # bottom right
    assert pixels[62, 2] == pytest.approx([GREY] * 3, abs=1)  # bottom left


def test_a_weak_map_is_not_stretched_to_the_scale():
    weak = np.full((4, 4), 0.01, dtype=np.float32)
    weak[0, 3] = 0.1
    maps = [np.asarray(heat_map(BLUE, weights, size=64)).astype(int) for weights in (weak, 8 * weak)]
    assert maps[0][2, 62] == pytest.approx(coloured(WARM, 0.1), abs=2)
    assert maps[1][2, 62] == pytest.approx(coloured(WARM, 0.8), abs=2)


def test_a_map_of_an_image_that_does_not_match_looks_empty():
    pixels = np.asarray(heat_map(Image.new("RGB", (60, 30), "red"), np.full((2, 4), 0.004))).astype(int)
    assert pixels.shape == (224, 448, 3)
    assert np.ptp(pixels, axis=2).max() <= 1  # grey


def test_only_cosines_are_drawn():
    with pytest.raises(ValueError, match=r"values from 0 to 1.5; expected cosines"):
        heat_map(BLUE, np.array([[0, 1.5]]))


def test_the_colour_bar_has_the_colours_of_the_map():
    grey = (128, 128, 128)
    shown = [coloured(hue, cosine, grey, 0.55 * 128 + 90) for hue, cosine in ((COLD, 1), (WARM, 0), (WARM, 1))]
    assert np.array(BAR_COLOURS) == pytest.approx(np.array(shown), abs=1)


def test_objects_are_outlined_at_their_boxes():
    image = Image.new("RGB", (201, 101), "red")
    pixels = np.asarray(outline(image, {"object 0": (0.5, 0.2, 0.9, 0.8)})).astype(int)
    changed = np.argwhere((pixels != np.asarray(image)).any(axis=2))
    assert changed.min(axis=0).tolist() == [20, 100] and changed.max(axis=0).tolist() == [80, 180]
    assert pixels[80, 140].tolist() == [255] * 3  # the lower edge is white ...
    assert pixels[77, 140].tolist() == [0] * 3  # ... with a black inner border
    assert pixels[50, 160].tolist() == [255, 0, 0]  # inside
    assert np.array_equal(np.asarray(outline(image, {})), np.asarray(image))


def test_thin_images_keep_one_pixel():
    assert resized(Image.new("RGB", (1000, 1)), 100).size == (100, 1)

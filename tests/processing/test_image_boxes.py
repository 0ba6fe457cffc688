import numpy as np
import pytest
import torch
from PIL import Image

from tgdi_hf.processing.image_boxes import crop, is_box

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def test_boxes_are_cropped_from_the_image():
    image = Image.new("RGB", (10, 8), RED)
    image.paste(BLUE, (4, 2, 8, 6))
    assert crop(image, (4, 2, 8, 6), "").getcolors() == [(16, BLUE)]
    assert crop(image, (-5, -5, 3.2, 2), "").size == (
        4,
        2,
    )  # clipped to the image; partially covered pixels are included
    assert crop(image, (9, 7, 99, 99), "").size == (1, 1)
    assert crop(image, None, "") is image


@pytest.mark.parametrize("box", [(10, 0, 12, 4), (4, 4, 4, 6), (6, 4, 4, 6), (-4, 0, 0, 3), (0, 8, 4, 9)])
def test_boxes_without_a_pixel_are_rejected(box):
    with pytest.raises(ValueError, match=r"row 1, object 2: no pixel of the image, 10 × 8, lies in the box"):
        crop(Image.new("RGB", (10, 8)), box, "row 1, object 2")


def test_boxes_are_distinguished_from_images():
    for box in ((0, 0, 4, 4), [0.5, 0, 4, 4], np.array([0, 0, 4, 4]), torch.tensor([0, 0, 4, 4]), (0, 0, 4)):
        assert is_box(box)
    for image in (np.zeros((4, 4, 3)), "a.png", {"path": "a.png"}, Image.new("RGB", (2, 2)), [[0, 1], [2, 3]]):
        assert not is_box(image)


@pytest.mark.parametrize("box", [(0, 0, 1, 1), (0.25, 0.25, 0.5, 0.75)])
def test_boxes_in_fractions_of_the_image_are_rejected(box):
    with pytest.raises(ValueError, match=r"fractions of the image, 4 × 3; expected pixels"):
        crop(Image.new("RGB", (4, 3)), box, "row 0, object 0")
    assert crop(Image.new("RGB", (1, 1)), (0, 0, 1, 1), "row 0, object 0").size == (1, 1)

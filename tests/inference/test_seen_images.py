from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tgdi_hf.inference.seen_images import image_of, relative_box, seen_box, seen_images

POST = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}


def seen(pipe, **post):
    return seen_images(pipe.processor, pipe.read([(0, {**POST, **post})]))


def test_the_image_is_what_went_in(processor):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    pixels = processor(text="a b", head=(0, 1), tail=(2, 3), images=image)["pixel_values"][0, 0]
    found = image_of(processor.image_processor, pixels)
    assert found.size == (64, 64)  # the tiny model's size, so nothing was resized
    assert np.abs(np.asarray(found).astype(int) - np.asarray(image)).max() <= 1


def test_images_and_objects_in_their_proportions(pipe_with_objects):
    image = Image.new("RGB", (200, 100), "red")
    image.paste("blue", (100, 0, 150, 100))
    apart = Image.new("RGB", (10, 40), "green")
    images = seen(pipe_with_objects, image=image, objects=[(100, 0, 150, 100), apart, (0, 50, 200, 100)])
    assert [one.name for one in images] == ["image", "object 0", "object 1", "object 2"]
    # The encoder sees squares of 64 × 64.
    assert [one.image.size for one in images] == [(64, 32), (32, 64), (16, 64), (64, 16)]
    assert images[0].objects == {"object 0": (0.5, 0, 0.75, 1), "object 2": (0, 0.5, 1, 1)}
    assert images[1].objects == images[2].objects == {}
    assert images[1].image.getpixel((16, 32))[2] > 250 and images[2].image.getpixel((8, 32))[1] > 120


def test_posts_without_a_whole_image(pipe_with_objects):
    (image,) = seen(pipe_with_objects, objects=[Image.new("RGB", (40, 20))])
    assert (image.name, image.image.size) == ("object 0", (64, 32))
    assert seen(pipe_with_objects) == []


def processor_of(**options):
    return SimpleNamespace(**{"do_center_crop": True, "do_resize": True, **options})


@pytest.mark.parametrize(
    ("options", "box"),
    [
        # The middle square of 200 × 100 pixels.
        ({"size": {"shortest_edge": 50}, "crop_size": {"height": 50, "width": 50}}, (50, 0, 150, 100)),
        # The shorter side is scaled to 56, and the middle 42 × 42 of the result are 75 × 75 pixels of the image.
        ({"size": {"shortest_edge": 56}, "crop_size": {"height": 42, "width": 42}}, (62.5, 12.5, 137.5, 87.5)),
        # Squashed to 64 × 64, of which the middle 32 × 32 are left.
        ({"size": {"height": 64, "width": 64}, "crop_size": {"height": 32, "width": 32}}, (50, 25, 150, 75)),
        # Not resized, and padded at the upper and lower edge.
        ({"do_resize": False, "crop_size": {"height": 120, "width": 120}}, (40, -10, 160, 110)),
        ({"do_center_crop": False, "size": {"height": 64, "width": 64}}, (0, 0, 200, 100)),
    ],
)
def test_the_part_that_the_encoder_sees(options, box):
    assert seen_box(processor_of(**options), (200, 100)) == pytest.approx(box)


def test_objects_are_placed_in_what_the_encoder_sees():
    frame = (50.0, 0.0, 150.0, 100.0)
    assert relative_box((75, 25, 100, 50), frame) == (0.25, 0.25, 0.5, 0.5)
    assert relative_box((0, 0, 100, 200), frame) == (0, 0, 0.5, 1)  # clipped
    assert relative_box((0, 0, 50, 100), frame) is None  # cropped away

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil

from tgdi_hf.inference.seen_images import image_of, relative_box, seen_images

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


def test_a_processor_of_objects_alone(pipe_with_objects):
    pipe_with_objects.processor.use_image = False
    image = Image.new("RGB", (200, 100))
    (cut,) = seen(pipe_with_objects, image=image, objects=[(100, 0, 150, 100)])
    assert (cut.name, cut.image.size, cut.objects) == ("object 0", (32, 64), {})
    pipe_with_objects.processor.num_objects = 0
    assert seen(pipe_with_objects, image=image) == []


def test_cropped_images_and_squashed_objects(pipe_with_objects):
    """Of an image of 200 × 100 pixels the middle square is seen, of its objects everything."""
    processor = pipe_with_objects.processor
    side = {"height": 64, "width": 64}
    processor.image_processor = CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size=side)
    processor.image_resize, processor.object_resize = "crop", "squash"
    image = Image.new("RGB", (200, 100), "red")
    image.paste("blue", (50, 0, 75, 100))
    boxes = [(0, 0, 40, 20), (25, 0, 75, 25)]
    whole, apart, cut = seen(pipe_with_objects, image=image, objects=boxes)
    assert [one.image.size for one in (whole, apart, cut)] == [(64, 64), (64, 32), (64, 32)]
    assert whole.objects == {"object 1": (0, 0, 0.25, 0.25)}  # object 0 was cropped away, object 1 half
    assert whole.image.getpixel((8, 32))[2] > 240 and whole.image.getpixel((24, 32))[0] > 240
    assert cut.image.getpixel((8, 16))[0] > 240 and cut.image.getpixel((56, 16))[2] > 240
    processor.image_resize = "squash"
    whole, *_ = seen(pipe_with_objects, image=image, objects=boxes)
    assert whole.image.size == (64, 32)
    assert whole.objects == {"object 0": (0, 0, 0.2, 0.2), "object 1": (0.125, 0, 0.375, 0.25)}


def test_objects_are_placed_in_what_the_encoder_sees():
    frame = (50.0, 0.0, 150.0, 100.0)
    assert relative_box((75, 25, 100, 50), frame) == (0.25, 0.25, 0.5, 0.5)
    assert relative_box((0, 0, 100, 200), frame) == (0, 0, 0.5, 1)  # clipped
    assert relative_box((0, 0, 50, 100), frame) is None  # cropped away


def test_regions_are_outlined_on_the_image_as_the_model_sees_them(pipe_with_regions):
    pipe = pipe_with_regions
    side = {"height": 64, "width": 64}
    pipe.processor.image_processor = CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size=side)
    image, boxes = Image.new("RGB", (200, 100), "red"), [(0, 0, 40, 20), (25, 0.5, 75, 24.5)]
    pipe.processor.image_resize = "squash"
    (whole,) = seen(pipe, image=image, objects=boxes)
    assert whole.image.size == (64, 32)
    assert whole.objects["object 0"] == pytest.approx((0, 0, 0.2, 0.2))
    assert whole.objects["object 1"] == (0.125, 0, 0.375, 0.25)
    pipe.processor.image_resize = "crop"
    (whole,) = seen(pipe, image=image, objects=boxes)
    assert whole.objects == {"object 1": (0, 0, 0.25, 0.25)}

import numpy as np
import pytest
from PIL import Image

from tgdi_hf.processing.image_encoding import EMPTY_SLOT, ImageRow, arrange, collect_images, pixel_values
from tgdi_hf.processing.invalid_post import InvalidPost

RED, BLUE = Image.new("RGB", (20, 10), "red"), Image.new("RGB", (20, 10), "blue")
VALUES = np.arange(3.0).reshape(3, 1) + 1


def test_slots_are_numbers_of_distinct_images():
    rows = [
        ImageRow(RED, [BLUE, (0, 0, 5, 5)], "row 0"),
        ImageRow(None, None, "row 1"),
        ImageRow(RED, [(0, 0, 5, 5)], "row 2"),
        ImageRow(None, [RED, BLUE, BLUE], "row 3"),
    ]
    batch, slots = collect_images(rows, num_objects=2)
    assert slots == [[0, 1, 2], [EMPTY_SLOT], [0, 2], [EMPTY_SLOT, 0, 1]]
    assert len(batch) == 3


def test_images_are_only_sources_of_boxes_without_use_image():
    rows = [ImageRow(RED, [(0, 0, 5, 5), BLUE], "row 0"), ImageRow(RED, [(0, 0, 5, 5)], "row 1"), ImageRow(RED, [], "")]
    batch, slots = collect_images(rows, num_objects=2, use_image=False)
    assert slots == [[EMPTY_SLOT, 0, 1], [EMPTY_SLOT, 0], [EMPTY_SLOT]]
    assert [part.box for part in batch] == [(0, 0, 5, 5), None]
    assert len(collect_images(rows, num_objects=0, use_image=False)[0]) == 0


def test_empty_slots_are_masked_zeros():
    slots = [[0, 2], [EMPTY_SLOT], [EMPTY_SLOT, 1]]
    arranged = arrange("values", VALUES, slots, num_objects=2, share_images=False)
    assert arranged["values"][..., 0].tolist() == [[1, 3, 0], [0, 0, 0], [0, 2, 0]]
    assert arranged["image_mask"].tolist() == [[1, 1, 0], [0, 0, 0], [0, 1, 0]]
    assert arranged["image_mask"].dtype == np.int64


def test_shared_images_are_indexed_up_to_the_most_objects_of_any_row():
    arranged = arrange("values", VALUES, [[0, 2], [EMPTY_SLOT]], num_objects=5, share_images=True)
    assert arranged["values"] is VALUES
    assert arranged["image_index"].tolist() == [[0, 2], [0, 0]]
    assert arranged["image_mask"].tolist() == [[1, 1], [0, 0]]
    assert arranged["image_index"].dtype == np.int64


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ImageRow(RED, 5, "row 1"), "row 1: `objects` is 5; expected a list of boxes or images"),
        (ImageRow(None, [(0, 0, 5, 5)], "row 1"), "row 1, object 0 is a box.*but the post has no image"),
    ],
)
def test_objects_that_cannot_be_located_are_rejected(row, message):
    with pytest.raises(InvalidPost, match=message) as error:
        collect_images([row], num_objects=3)
    assert error.value.field == "objects"


def test_known_pixels_are_reused():
    calls = []

    def image_processor(images, **options):
        calls.append(len(images))
        return {"pixel_values": [np.zeros((3, *image.size)) for image in images]}

    batch, _ = collect_images([ImageRow(RED, [BLUE], "row 0")], num_objects=1)
    known = {}
    first = pixel_values(batch, image_processor, 1000, known, {})
    assert np.array_equal(pixel_values(batch, image_processor, 1000, known, {}), first)
    assert calls == [1, 1] and set(known) == set(batch)

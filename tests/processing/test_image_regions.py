import io

import numpy as np
import pytest
from PIL import Image
from transformers import CLIPImageProcessorPil

from tgdi_hf.processing import image_regions
from tgdi_hf.processing.image_encoding import EMPTY_SLOT, ImageRow
from tgdi_hf.processing.image_regions import PostRegions, arrange_regions, collect_regions, seen_boxes
from tgdi_hf.processing.invalid_post import InvalidPost

RED, WIDE = Image.new("RGB", (40, 20), "red"), Image.new("RGB", (200, 100))
CLIP = CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
VALUES = np.arange(2.0).reshape(2, 1) + 1


def boxes_of(rows, squash=True, image_processor=CLIP, **options):
    batch, posts = collect_regions(rows, num_objects=3, squash=squash)
    return seen_boxes(posts, batch, image_processor, squash, 10**6, options)


@pytest.fixture
def warned(monkeypatch):
    """The first object that was not seen, of this test instead of the process."""
    monkeypatch.setattr(image_regions, "_warned", [])
    return image_regions._warned


def test_objects_add_no_images():
    rows = [
        ImageRow(RED, [(0, 0, 5, 5), (1, 1, 5, 5)], "row 0"),
        ImageRow(None, [], "row 1"),
        ImageRow(WIDE, None, "row 2"),
        ImageRow(RED, np.array([[0, 0, 5, 5], [2, 2, 9, 9], [3, 3, 9, 9]]), "row 3"),
    ]
    batch, posts = collect_regions(rows, num_objects=2, squash=False)
    assert len(batch) == 2
    assert [post.number for post in posts] == [0, EMPTY_SLOT, 1, 0]
    assert [[given.box for given in post.boxes] for post in posts] == [
        [(0, 0, 5, 5), (1, 1, 5, 5)], [], [], [(0, 0, 5, 5), (2, 2, 9, 9)]
    ]  # fmt: skip
    assert posts[3].boxes[1].where == "row 3, object 1"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        (ImageRow(RED, [RED], "line 7"), r"line 7, object 0 is an image of its own.*expected a box.*'crops'"),
        (ImageRow(None, [b"png"], "line 7"), r"line 7, object 0 is an image of its own.*object_features='crops'"),
        (ImageRow(None, [(0, 0, 5, 5)], "line 7"), r"line 7, object 0 is a box.*no image"),
        (ImageRow(RED, [(0, 0, 5)], "line 7"), r"line 7, object 0: the box.*four finite numbers"),
        (ImageRow(RED, "boxes", "line 7"), "line 7: `objects` is 'boxes'"),
        (ImageRow(RED, [(50, 0, 60, 5)], "line 7"), r"line 7, object 0: no pixel of the image, 40 × 20"),
        (ImageRow(RED, [(0.1, 0.2, 0.5, 0.6)], "line 7"), "line 7, object 0.*in fractions of the image"),
    ],
)
def test_objects_that_are_no_regions_are_rejected(row, message):
    with pytest.raises(InvalidPost, match=message) as error:
        boxes_of([row])
    assert error.value.field == "objects"


def test_boxes_are_the_pixels_they_touch_in_fractions_of_the_image():
    rows = [ImageRow(RED, [(10, 5, 30, 20), (0.5, 0.2, 9.1, 4), (-10, -10, 100, 100)], ""), ImageRow(None, [], "")]
    assert boxes_of(rows) == [[(0.25, 0.25, 0.75, 1), (0, 0, 0.25, 0.2), (0, 0, 1, 1)], []]


def test_a_centre_crop_cuts_boxes_and_hides_others(warned, caplog):
    """Of an image of 200 × 100 pixels the middle square is seen."""
    rows = [
        ImageRow(WIDE, [(0, 0, 40, 20), (25, 0, 75, 25)], "line 3"),
        ImageRow(WIDE, [(160, 0, 200, 9), (60, 90, 160, 100)], "line 4"),
    ]
    assert boxes_of(rows, squash=False) == [[None, (0, 0, 0.25, 0.25)], [None, (0.1, 0.9, 1, 1)]]
    assert warned == ["line 3, object 0"]
    assert caplog.text.count("does not see this object") == 1
    assert "image_resize='squash'" in caplog.text
    assert boxes_of(rows)[0] == [(0, 0, 0.2, 0.2), (0.125, 0, 0.375, 0.25)]  # squashed


def test_the_options_of_a_call_change_what_is_seen(warned):
    rows = [ImageRow(WIDE, [(0, 0, 40, 20)], "line 3")]
    assert boxes_of(rows, squash=False, do_center_crop=False) == [[(0, 0, 0.2, 0.2)]]
    size = {"height": 64, "width": 64}
    assert boxes_of(rows, squash=False, size={"shortest_edge": 128}, crop_size=size) == [[None]]
    assert boxes_of(rows, squash=False, size={"shortest_edge": 32}, crop_size=size)[0][0] == (0, 0.25, 0.2, 0.35)


def test_the_sizes_of_images_come_from_their_headers_and_are_those_of_upright_images(monkeypatch):
    turned = Image.Exif()
    turned[0x0112] = 6
    file = io.BytesIO()
    RED.save(file, "JPEG", exif=turned)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda image: pytest.fail("decoded"))
    assert boxes_of([ImageRow(file.getvalue(), [(0, 0, 10, 10)], "")]) == [[(0, 0, 0.5, 0.25)]]


def test_empty_slots_are_masked_zeros():
    posts = [PostRegions(1), PostRegions(EMPTY_SLOT), PostRegions(0)]
    boxes = [[(0, 0, 0.5, 1), None], [], [None, (0.25, 0, 0.5, 1)]]
    arranged = arrange_regions("values", VALUES, posts, boxes, num_objects=3, share_images=False)
    assert arranged["values"].tolist() == [[[2]], [[0]], [[1]]]
    assert arranged["image_mask"].tolist() == [[1, 1, 0, 0], [0, 0, 0, 0], [1, 0, 1, 0]]
    assert arranged["object_boxes"].dtype == np.float32
    assert arranged["object_boxes"][:, :2].tolist() == [
        [[0, 0, 0.5, 1], [0, 0, 0, 0]], [[0] * 4] * 2, [[0, 0, 0, 0], [0.25, 0, 0.5, 1]]
    ]  # fmt: skip
    shared = arrange_regions("values", VALUES, posts, boxes, num_objects=3, share_images=True)
    assert shared["values"] is VALUES
    assert shared["image_index"].tolist() == [[1], [0], [0]]
    assert shared["object_boxes"].shape == (3, 2, 4)
    assert shared["image_mask"].tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 1]]


def test_without_objects_there_are_no_boxes():
    posts = [PostRegions(0), PostRegions(EMPTY_SLOT)]
    for share, objects in ((True, 3), (False, 0)):
        arranged = arrange_regions("values", VALUES, posts, [[], []], objects, share)
        assert "object_boxes" not in arranged
        assert arranged["image_mask"].tolist() == [[1], [0]]

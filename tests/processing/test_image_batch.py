import numpy as np
import pytest
import torch
from PIL import Image

from tgdi_hf.processing.image_batch import ImageBatch, ImagePart
from tgdi_hf.processing.image_boxes import MAX_SIDE_RATIO

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def saved(image, path, **options):
    image.save(path, **options)
    return path


def noise(width=8, height=6):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("source", [5, {"bytes": None, "path": None}, {}, [RED], object()])
def test_invalid_sources_are_rejected(source):
    with pytest.raises(ValueError, match=r"row 2, image: expected an image as PIL image, path, array, bytes of"):
        ImageBatch().add(source, "row 2, image")


@pytest.mark.parametrize("box", [(0, 0, 4), (0, 0, float("nan"), 4), (0, 0, 4, float("inf")), np.zeros(5)])
def test_boxes_are_four_finite_numbers(box):
    batch = ImageBatch()
    key, _ = batch.add(Image.new("RGB", (10, 8)), "")
    with pytest.raises(ValueError, match="row 1, object 2.*not four finite numbers"):
        batch.add_box(key, box, "row 1, object 2")


def test_narrow_strips_are_rejected():
    batch = ImageBatch()
    batch.add(Image.new("RGB", (MAX_SIDE_RATIO, 1)), "row 0, image")
    assert len(list(batch.open())) == 1
    key, _ = batch.add(Image.new("RGB", (MAX_SIDE_RATIO + 1, 20)), "row 1, image")
    batch.add_box(key, (0, 0, MAX_SIDE_RATIO + 1, 1), "row 1, object 0")
    with pytest.raises(ValueError, match=r"row 1, object 0 is a strip of 1001 × 1 pixels"):
        list(batch.open())


def test_equal_images_and_boxes_are_stored_once(tmp_path, monkeypatch):
    image, array = Image.fromarray(noise()), noise()
    path = saved(image, tmp_path / "a.png")
    content = path.read_bytes()
    batch = ImageBatch()
    groups = [
        [image, image],
        [image.copy()],
        [array, array],
        [torch.tensor(array)],
        [path, str(path), {"path": str(path), "bytes": None}],
        [{"bytes": content, "path": None}, {"bytes": bytes(bytearray(content)), "path": "another.png"}],
    ]
    numbers = [[batch.add(source, "")[1] for source in group] for group in groups]
    assert numbers == [[i] * len(group) for i, group in enumerate(groups)]
    key, _ = batch.add(path, "")
    assert batch.add_box(key, (0, 0, 4, 4), "") == batch.add_box(key, np.array([0.0, 0, 4, 4]), "") == len(groups)
    assert batch.add_box(key, (0, 0, 4, 5), "") == len(groups) + 1 == len(batch) - 1
    opened = []
    original = Image.open
    monkeypatch.setattr(Image, "open", lambda source: opened.append(source) or original(source))
    images = {part: image for parts, images in batch.open() for part, image in zip(parts, images)}
    assert len(opened) == 2  # the path and the bytes
    assert set(images) == set(batch)
    assert images[[*batch][len(groups) + 1]].size == (4, 5)
    assert [*batch.open(known=images)] == []
    removed = ImagePart(key, (0, 0, 4, 5))
    del images[removed]
    ((parts, (part,)),) = batch.open(known=images)
    assert parts == [removed] and part.size == (4, 5)


def test_a_part_that_is_resized_in_two_ways_is_stored_twice():
    batch, image = ImageBatch(), Image.fromarray(noise())
    key, number = batch.add(image, "")
    assert batch.add(image, "", squash=True) == (key, 1) and number == 0
    assert [batch.add_box(key, (0, 0, 4, 4), "", squash) for squash in (False, True, False)] == [2, 3, 2]
    assert [(part.box, part.squash) for part in batch] == [
        (None, False), (None, True), ((0, 0, 4, 4), False), ((0, 0, 4, 4), True)
    ]  # fmt: skip
    ((parts, images),) = batch.open()
    assert parts == [*batch] and [image.size for image in images] == [(8, 6), (8, 6), (4, 4), (4, 4)]
    ((source, _, numbers),) = batch.sources()
    assert source is image and numbers == {part: i for i, part in enumerate(parts)}


def test_a_reused_object_id_does_not_identify_an_image():
    batch, content = ImageBatch(), [{"path": f"{i}.png", "bytes": bytes([i])} for i in range(2)]
    for _ in range(50):  # each copy is freed before the next one is created
        assert [batch.add(dict(content[i]), "")[1] for i in (0, 1)] == [0, 1]


def test_two_images_from_the_same_file_may_differ(tmp_path):
    path = saved(Image.new("RGB", (4, 4), RED), tmp_path / "a.png")
    with Image.open(path) as first_frame, Image.open(path) as second_frame:
        second_frame.paste(BLUE, (0, 0, 4, 4))
        batch = ImageBatch()
        assert [batch.add(image, "")[1] for image in (first_frame, second_frame)] == [0, 1]
        assert [image.getpixel((0, 0)) for _, (image,) in batch.open()] == [RED, BLUE]

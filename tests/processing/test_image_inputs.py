import copy

import numpy as np
import pytest
import torch
from transformers import CLIPImageProcessorPil

from tgdi_hf import TGDIProcessor
from tgdi_hf.processing import image_batch
from tgdi_hf.processing.invalid_post import InvalidPost
from tgdi_hf.processing.processor_options import InvalidOption

POST = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}


@pytest.fixture
def regions(processor):
    """A processor whose model reads three objects off the image."""
    processor = copy.copy(processor)
    processor.num_objects, processor.object_features = 3, "regions"
    return processor


def posts(**columns):
    """The inputs of the processor for as many posts as each column has values."""
    count = len(next(iter(columns.values())))
    return {**{name: [value] * count for name, value in POST.items()}, **columns}


def test_an_image_with_objects_is_one_image(regions, image):
    inputs = regions(**posts(images=[image, None, image], objects=[[(0, 0, 30, 20), (6, 4, 12, 8)], None, []]))
    assert inputs["pixel_values"].shape == (3, 1, 3, 16, 16)
    assert "image_index" not in inputs
    assert inputs["image_mask"].tolist() == [[1, 1, 1, 0], [0] * 4, [1, 0, 0, 0]]
    expected = torch.tensor([[0, 0, 0.5, 0.5], [0.1, 0.1, 0.2, 0.2], [0, 0, 0, 0]])  # of 60 × 40 pixels
    torch.testing.assert_close(inputs["object_boxes"][0], expected)
    assert not inputs["object_boxes"][1:].any()
    shared = regions(
        **posts(images=[image, None, image], objects=[[(0, 0, 30, 20), (6, 4, 12, 8)], None, []]), share_images=True
    )
    assert shared["pixel_values"].shape == (1, 3, 16, 16)
    assert shared["image_index"].tolist() == [[0], [0], [0]]
    torch.testing.assert_close(shared["object_boxes"][0], expected[:2])
    assert set(shared) <= {*regions.model_input_names}


def test_each_image_is_decoded_once(regions, image, tmp_path, monkeypatch):
    image.save(tmp_path / "post.png")
    opened = []
    decode = image_batch.open_image
    monkeypatch.setattr(image_batch, "open_image", lambda *args: opened.append(args[0]) or decode(*args))
    path = str(tmp_path / "post.png")
    known = {}
    columns = posts(images=[path, path], objects=[[(0, 0, 30, 20)], [(6, 4, 12, 8)]])
    first = regions(**columns, share_images=True, known_pixels=known)
    again = regions(**columns, share_images=True, known_pixels=known)
    assert opened == [path]
    for name, value in first.items():
        assert torch.equal(again[name], value)


def test_vision_features_are_looked_up_for_images_alone(regions, image, tmp_path):
    image.save(tmp_path / "post.png")
    asked = []

    def lookup(source, box, where, squash):
        asked.append((source, box, squash))
        return np.zeros((6, 4), dtype=np.float32)

    path = str(tmp_path / "post.png")
    inputs = regions(**posts(images=[path], objects=[[(0, 0, 30, 20)]]), vision_features=lookup, share_images=True)
    assert asked == [(path, None, False)]  # the image processor squashes by itself
    assert inputs["vision_features"].shape == (1, 6, 4)
    assert inputs["object_boxes"].tolist() == [[[0, 0, 0.5, 0.5]]]
    lookup.object_features = "crops"
    with pytest.raises(
        InvalidOption, match="features are for `object_features='crops'`, but the processor has 'region"
    ):
        regions(**posts(images=[path]), vision_features=lookup)


def test_objects_that_are_images_are_rejected(regions, image):
    with pytest.raises(InvalidPost, match=r"tweet 7, object 0 is an image of its own.*'crops'"):
        regions(**posts(images=[image], objects=[[image]]), row_names=["tweet 7"])


def test_options_that_leave_no_image_to_read_objects_off(regions):
    regions.use_image = False
    with pytest.raises(InvalidOption, match=r"`use_image=False` leaves no image.*'regions'.*use 'crops'"):
        regions(**posts(images=[None]))


@pytest.mark.parametrize(("kind", "resize"), [("crops", "crop"), ("regions", "squash")])
def test_images_with_regions_are_squashed_by_default(kind, resize, processor, tmp_path):
    clip = CLIPImageProcessorPil(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64})
    made = TGDIProcessor(clip, processor.tokenizer, object_features=kind)
    assert made.image_resize == resize
    made.save_pretrained(tmp_path)
    loaded = TGDIProcessor.from_pretrained(tmp_path)
    assert (loaded.object_features, loaded.image_resize) == (kind, resize)
    assert TGDIProcessor(clip, processor.tokenizer, object_features=kind, image_resize="crop").image_resize == "crop"
    unsized = CLIPImageProcessorPil(do_resize=False, do_center_crop=False)
    assert TGDIProcessor(unsized, processor.tokenizer, object_features=kind).image_resize == "crop"


def test_a_processor_saved_before_the_option_reads_crops(processor, tmp_path):
    processor.save_pretrained(tmp_path)
    file = tmp_path / "processor_config.json"
    file.write_text(file.read_text().replace('"object_features": "crops",', ""))
    assert "object_features" not in file.read_text()
    assert TGDIProcessor.from_pretrained(tmp_path).object_features == "crops"


def test_an_unknown_kind_is_rejected(processor):
    with pytest.raises(InvalidOption, match=r"`object_features` is 'boxes'; expected 'crops' or 'regions'"):
        TGDIProcessor(processor.image_processor, processor.tokenizer, object_features="boxes")

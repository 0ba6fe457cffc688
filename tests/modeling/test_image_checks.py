"""Visual inputs of a model that reads objects as regions; `test_tgdi_inputs` has those of crops."""

import pytest
import torch

from tgdi_hf.modeling.image_checks import check_boxes

from .conftest import region_inputs, tiny_inputs, tiny_model

BOX = [0.1, 0.2, 0.5, 0.6]
WRONG_BOXES = [
    ([0.5, 0.2, 0.1, 0.6], "x0 < x1"),
    ([0.1, 0.2, 0.1, 0.6], "x0 < x1"),
    ([1.0, 0.2, 1.5, 0.6], "partly between 0 and 1"),
    ([-0.4, 0.2, 0.0, 0.6], "partly between 0 and 1"),
    ([0.1, float("nan"), 0.5, 0.6], "in fractions of the image"),
    ([10.0, 20.0, 30.0, 40.0], "in fractions of the image"),
]
INCOMPATIBLE = [
    (
        lambda i: i.update(object_boxes=i["object_boxes"][:3]),
        r"`object_boxes` has shape \(3, 2, 4\).*\(4, objects, 4\)",
    ),
    (lambda i: i.update(object_boxes=i["object_boxes"][..., :3]), r"\(4, 2, 3\).*x0, y0, x1, y1"),
    (lambda i: i.update(object_boxes=i["object_boxes"][0]), r"`object_boxes` has shape \(2, 4\)"),
    (lambda i: i.update(image_mask=i["image_mask"][:, :1]), r"\(4, 2, 4\).*`image_mask` of shape \(4, 3\).*\(4, 1\)"),
    (lambda i: i.pop("object_boxes"), r"\(4, 0, 4\) needs.*`image_mask` of shape \(4, 1\)"),
    (lambda i: i.update(pixel_values=i["pixel_values"][:3]), "4 posts.*got 3 images"),
    (lambda i: (i.pop("pixel_values"), i.pop("image_mask")), "`object_boxes` without `pixel_values` or `vision_feat"),
]


@pytest.mark.parametrize(("box", "message"), WRONG_BOXES)
def test_a_box_that_shows_nothing_is_rejected_unless_masked(box, message):
    model, inputs = tiny_model(object_features="regions"), region_inputs()
    before = model(**inputs).logits
    boxes = inputs["object_boxes"].clone()
    boxes[1, 1] = torch.tensor(box)  # an empty slot
    torch.testing.assert_close(model(**{**inputs, "object_boxes": boxes}).logits, before)
    inputs["image_mask"][1, 2] = 1
    with pytest.raises(ValueError, match=rf"`object_boxes` of post 1, object 1, is.*{message}"):
        model(**{**inputs, "object_boxes": boxes})


@pytest.mark.parametrize(("change", "message"), INCOMPATIBLE)
def test_incompatible_regions_are_rejected(change, message):
    inputs = region_inputs()
    change(inputs)
    with pytest.raises(ValueError, match=message):
        tiny_model(object_features="regions")(**inputs)


def test_more_objects_than_the_model_reads_are_rejected():
    with pytest.raises(ValueError, match=r"Got 3 images per post.*`num_objects=1`"):
        tiny_model(object_features="regions", num_objects=1)(**region_inputs())


def test_crops_and_regions_are_not_mixed_up():
    with pytest.raises(ValueError, match=r"`object_boxes`, but the model has `object_features='crops'`.*processor"):
        tiny_model()(**region_inputs())
    with pytest.raises(ValueError, match=r"Got 3 images per post, but.*'regions'.*`object_boxes`.*processor"):
        tiny_model(object_features="regions")(**tiny_inputs())
    regions, crops = tiny_model(object_features="regions"), tiny_model()
    pixels = region_inputs()["pixel_values"]
    text = tiny_inputs(images=False)
    with pytest.raises(ValueError, match=r"\(4, 48, 24\).*more than 3, 24.*`object_features='crops'`.*get_vision_feat"):
        crops(**text, vision_features=regions.get_vision_features(pixels))
    with pytest.raises(ValueError, match=r"\(4, 19, 24\).*3 × patches, 24.*`object_features='regions'`"):
        regions(**text, vision_features=crops.get_vision_features(pixels))


def test_boxes_on_an_accelerator_are_not_read():
    """The meta device, which has shapes but no values, stands for an accelerator."""
    mask = torch.ones(1, 1, dtype=torch.bool)
    no_area = torch.zeros(1, 1, 4)
    with pytest.raises(ValueError, match="expected x0 < x1"):
        check_boxes(no_area, mask)
    check_boxes(no_area.to("meta"), mask.to("meta"))

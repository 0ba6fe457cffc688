import pytest
import torch

from tgdi_hf.modeling.tgdi_inputs import Images, TextInputs

from .conftest import IMAGE, VISUAL, tiny_config, tiny_inputs, tiny_model

INCOMPATIBLE = [
    (lambda i: i.update(vision_features=torch.zeros(4, 3, 19, 24)), "pixel_values.*vision_features.*both"),
    (lambda i: i.update(pixel_values=i["pixel_values"][:, 0]), r"\(4, 3, 32, 32\).*5 dimensions.*image_index"),
    (lambda i: i.update(image_mask=i["image_mask"][:, :2]), r"\(4, 2\).*\(4, 3\)"),
    (lambda i: i.update(pixel_values=i["pixel_values"][:3], image_mask=i["image_mask"][:3]), "4 posts"),
    (
        lambda i: (i.pop("image_mask"), i.update(pixel_values=torch.zeros(4, 5, 3, 32, 32))),
        "5 images.*num_objects=3",
    ),
    (
        lambda i: (i.pop("pixel_values"), i.update(vision_features=torch.zeros(4, 3, 19, 8))),
        "24.*get_vision_features",
    ),
]
EMPTY = [
    (lambda i: {**i, "pixel_values": i["pixel_values"][:, :0]}, r"`pixel_values` has shape \(4, 0, 3.*at least one im"),
    (
        lambda i: {**i, "pixel_values": torch.zeros(0, 3, 32, 32), "image_index": torch.zeros(4, 3, dtype=torch.long)},
        r"`pixel_values` has shape \(0, 3, 32, 32\).*at least one image",
    ),
    (
        lambda i: {**i, "pixel_values": None, "vision_features": torch.zeros(0, 19, 24),
                   "image_index": torch.zeros(4, 3, dtype=torch.long)},
        r"`vision_features` has shape \(0, 19, 24\).*at least one image",
    ),
    (
        lambda i: {**i, "pixel_values": None, "vision_features": torch.zeros(4, 0, 19, 24), "image_mask": None},
        r"`vision_features` has shape \(4, 0, 19, 24\).*at least one image",
    ),
]  # fmt: skip


def test_the_mask_of_a_text_defaults_to_all_tokens():
    assert TextInputs(torch.zeros(2, 3, dtype=torch.long)).mask.tolist() == [[1, 1, 1], [1, 1, 1]]
    assert TextInputs(None, embeds=torch.zeros(2, 3, 8)).mask.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_features_are_split_into_pooled_tokens_and_patches():
    config = tiny_config(prompt_grid=2)  # three hidden states, four cells each, and 16 patches
    features = torch.arange(28.0).view(1, 28, 1)
    images = Images.from_features(features, torch.zeros(1, 1, dtype=torch.long), torch.ones(1, 1).bool(), config)
    assert images.pooled[0, :, :, 0].tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert images.patches[0, :, 0].tolist() == list(range(12, 28))


def test_negatives_are_the_images_of_the_preceding_post():
    index, mask = torch.tensor([[0, 1], [2, 0], [3, 4]]), torch.tensor([[True, True], [True, False], [True, True]])
    shifted = Images(torch.zeros(5, 3, 1, 6), torch.zeros(5, 4, 6), index, mask).shifted_negatives()
    assert shifted.index.tolist() == [[3, 4], [0, 1], [2, 0]]
    assert shifted.mask.tolist() == [[True, True], [True, True], [True, False]]


def test_distinct_images_with_an_index_equal_one_row_per_post(model, inputs):
    first, second = torch.randn(2, 3, IMAGE, IMAGE)
    mask = torch.tensor([[1, 1], [1, 0], [1, 0], [0, 0]])
    index = torch.tensor([[0, 1], [1, 0], [0, 1], [1, 1]])
    per_post = torch.stack([torch.stack([(first, second)[i] for i in row]) for row in index.tolist()])
    text = {name: value for name, value in inputs.items() if name not in VISUAL}
    calls = []
    model.tgdi.vision_tower.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    one = model(**text, pixel_values=torch.stack([first, second]), image_index=index, image_mask=mask)
    two = model(**text, pixel_values=per_post, image_mask=mask)
    for name in ("logits", "matching_gate", "similarity"):
        torch.testing.assert_close(one[name], two[name])
    assert calls == [2, 8]


@pytest.mark.parametrize("name", ["image_mask", "image_index"])
def test_a_mask_or_index_without_images_is_rejected(name, model):
    with pytest.raises(ValueError, match="Got `image_mask` or `image_index` without `pixel_values` or `vision_feat"):
        model(**tiny_inputs(images=False), **{name: torch.ones(4, 1, dtype=torch.long)})


@pytest.mark.parametrize(("change", "message"), INCOMPATIBLE)
def test_incompatible_images_are_rejected(model, inputs, change, message):
    change(inputs)
    with pytest.raises(ValueError, match=message):
        model(**inputs)


@pytest.mark.parametrize(("change", "message"), EMPTY)
@pytest.mark.parametrize("body", [True, False])
def test_empty_images_are_rejected_by_name(change, message, body, inputs):
    model = tiny_model()
    with pytest.raises(ValueError, match=message):
        (model.tgdi if body else model)(**change(inputs))


@pytest.mark.parametrize("wrong", [2, -1])
def test_an_image_index_out_of_range_is_rejected_unless_masked(model, inputs, wrong):
    text = {name: value for name, value in inputs.items() if name not in VISUAL}
    images = {"pixel_values": torch.randn(2, 3, IMAGE, IMAGE), "image_mask": torch.tensor([[1], [1], [1], [0]])}
    with pytest.raises(ValueError, match=rf"`image_index` contains {wrong}; expected indices from 0 to 1"):
        model(**text, **images, image_index=torch.tensor([[0], [1], [wrong], [0]]))
    model(**text, **images, image_index=torch.tensor([[0], [1], [0], [wrong]]))


def test_shared_images_are_rejected_under_data_parallel(model, inputs):
    """`nn.DataParallel` splits rows and images separately, so that a replica would lack images of its rows."""
    replica = model.tgdi._replicate_for_data_parallel()
    with pytest.raises(ValueError, match=r"DataParallel.*accelerate launch.*share_images=False"):
        replica._images(inputs["pixel_values"][:, 0], None, None, torch.zeros(4, 1, dtype=torch.long), batch_size=4)

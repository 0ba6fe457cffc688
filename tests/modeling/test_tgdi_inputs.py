import pytest
import torch

from tgdi_hf.modeling.tgdi_inputs import Images, TextInputs

from .conftest import IMAGE, VISUAL, prefixed_with, region_inputs, tiny_config, tiny_inputs, tiny_model

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
    with pytest.raises(ValueError, match="Got `image_mask`, `image_index` or `object_boxes` without `pixel_values`"):
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
        replica._images(
            inputs["pixel_values"][:, 0], None, None, torch.zeros(4, 1, dtype=torch.long), None, batch_size=4
        )


def regions_of(boxes, mask, config, features=None):
    """Posts that share the first of two images of 16 patches, and their objects."""
    features = torch.randn(2, 48, 24, generator=torch.Generator().manual_seed(0)) if features is None else features
    index = torch.zeros(len(boxes), 1, dtype=torch.long)
    return features, Images.from_regions(features, index, torch.tensor(mask).bool(), torch.tensor(boxes), config)


def test_regions_are_means_of_patches_weighted_by_area():
    boxes = [[[0.0, 0.0, 0.5, 0.25], [0.125, 0.0, 0.5, 0.5]], [[0.0, 0.0, 0.0, 0.0], [0.7, 0.7, 0.74, 0.74]]]
    features, images = regions_of(boxes, [[1, 1, 1], [1, 0, 1]], tiny_config(object_features="regions"))
    layers = features[0].view(3, 16, 24)
    pooled = images.pooled[images.index]  # (B, S, c, 1, d_v)
    assert images.index.tolist() == [[0, 1, 2], [3, 4, 5]]
    for post in range(2):
        torch.testing.assert_close(pooled[post, 0, :, 0], layers.mean(dim=1))  # the whole image
    torch.testing.assert_close(pooled[0, 1, :, 0], layers[:, [0, 1]].mean(dim=1))
    expected = (layers[:, 0] + 2 * layers[:, 1] + layers[:, 4] + 2 * layers[:, 5]) / 6  # half of the left patches
    torch.testing.assert_close(pooled[0, 2, :, 0], expected)
    torch.testing.assert_close(pooled[1, 2, :, 0], layers[:, 10])
    torch.testing.assert_close(images.patches, features[:, 32:])  # of the last layer
    weights = torch.full((16,), 1 / 48)
    weights[[0, 1]] += 1 / 6
    weights[[0, 1, 4, 5]] += torch.tensor([1, 2, 1, 2]) / 18
    torch.testing.assert_close(images.patch_weights[0], weights)
    weights = torch.full((16,), 1 / 32)  # the empty slot does not count
    weights[10] += 1 / 2
    torch.testing.assert_close(images.patch_weights[1], weights)


def test_a_grid_of_prompts_divides_each_box():
    config = tiny_config(object_features="regions", prompt_grid=2)
    features, images = regions_of([[[0.0, 0.0, 0.5, 0.5]]], [[1, 1]], config)
    layers = features[0].view(3, 16, 24)
    torch.testing.assert_close(images.pooled[1], layers[:, [0, 1, 4, 5]])
    cells = torch.stack(
        [layers.view(3, 4, 4, 24)[:, i : i + 2, j : j + 2].mean(dim=(1, 2)) for i in (0, 2) for j in (0, 2)]
    )
    torch.testing.assert_close(images.pooled[0], cells.transpose(0, 1))
    of_box = torch.zeros(16)
    of_box[[0, 1, 4, 5]] = 1 / 4
    torch.testing.assert_close(images.region_weights[0, 1], of_box)


def test_crops_have_the_weights_of_their_slots():
    index, mask = torch.tensor([[0, 1], [1, 0]]), torch.tensor([[True, True], [False, False]])
    images = Images(torch.zeros(2, 3, 1, 6), torch.zeros(2, 4, 6), index, mask)
    assert images.patch_weights.tolist() == [[1 / 8] * 8, [0] * 8]
    assert images.patch_index is index
    assert images.patch_mask is mask


def test_negatives_have_the_regions_of_the_preceding_post():
    boxes = [[[0.0, 0.0, 0.5, 0.5]], [[0.5, 0.5, 1.0, 1.0]], [[0.0, 0.0, 1.0, 0.25]]]
    _, images = regions_of(boxes, [[1, 1], [1, 0], [1, 1]], tiny_config(object_features="regions"))
    images = images._replace(image_index=torch.tensor([[0], [1], [0]]))
    shifted = images.shifted_negatives()
    assert shifted.index.tolist() == [[4, 5], [0, 1], [2, 3]]
    assert shifted.mask.tolist() == [[True, True], [True, True], [True, False]]
    assert shifted.image_index.tolist() == [[0], [0], [1]]
    torch.testing.assert_close(shifted.patch_weights, images.patch_weights.roll(1, 0))
    assert images.same_as(shifted).tolist() == [True, False, False]


@pytest.mark.parametrize("grid", [1, 2])
def test_a_post_whose_object_is_the_image_equals_one_with_the_image_as_crop(grid):
    """The whole image is the region that covers it; slots of equal content weigh as much as crops of it do."""
    crops, regions = (tiny_model(object_features=kind, prompt_grid=grid) for kind in ("crops", "regions"))
    inputs = region_inputs(objects=1)
    inputs["object_boxes"] = torch.tensor([0.0, 0.0, 1.0, 1.0]).expand(4, 1, 4)
    twice = {name: value for name, value in inputs.items() if name != "object_boxes"}
    twice["pixel_values"] = inputs["pixel_values"].expand(-1, 2, -1, -1, -1)
    one, two = regions(**inputs), crops(**twice)
    for name in ("logits", "matching_gate"):
        torch.testing.assert_close(one[name], two[name], msg=prefixed_with(name))
    torch.testing.assert_close(one.vision_gates[0], two.vision_gates[0])
    torch.testing.assert_close(one.similarity[0], two.similarity[0, :16])
    assert one.similarity.shape == (4, 16, 9)
    assert two.similarity.shape == (4, 32, 9)


def test_each_object_changes_the_logits_unless_it_is_masked():
    model, inputs = tiny_model(object_features="regions"), region_inputs()
    inputs["image_mask"][1] = torch.tensor([1, 1, 0])
    before = model(**inputs)
    for post, slot, matters in ((0, 0, True), (0, 1, True), (1, 0, True), (1, 1, False), (3, 0, False)):
        boxes = inputs["object_boxes"].clone()
        boxes[post, slot] = torch.tensor([0.0, 0.75, 0.1, 1.0])
        after = model(**{**inputs, "object_boxes": boxes})
        for name in ("logits", "matching_gate"):
            changed = (after[name] - before[name]).abs().amax(dim=1) > 1e-5
            assert changed.tolist() == [matters and i == post for i in range(4)], (name, post, slot)
    only_prompts = tiny_model(object_features="regions", use_matching_gate=False)
    only_gate = tiny_model(object_features="regions", use_visual_prompts=False)
    for model in (only_prompts, only_gate):
        other = {**inputs, "object_boxes": inputs["object_boxes"] / 2}
        assert (model(**inputs).logits[0] - model(**other).logits[0]).abs().max() > 1e-4


def test_every_form_of_regions_gives_the_same_outputs_with_one_vision_pass_per_image():
    model, inputs = tiny_model(object_features="regions"), region_inputs()
    inputs["pixel_values"] = inputs["pixel_values"][[0, 1, 0, 1]]
    calls = []
    model.tgdi.vision_tower.register_forward_pre_hook(lambda module, args: calls.append(len(args[0])))
    per_post = model(**inputs)
    index = torch.tensor([[0], [1], [0], [7]])  # the last post has no image
    shared = {**inputs, "pixel_values": inputs["pixel_values"][:2, 0], "image_index": index}
    features = {name: value for name, value in inputs.items() if name != "pixel_values"}
    features["vision_features"] = model.get_vision_features(inputs["pixel_values"])
    assert features["vision_features"].shape == (4, 1, 48, 24)
    once = {**features, "vision_features": features["vision_features"][:2, 0], "image_index": index}
    for name, form in {"shared": shared, "features": features, "shared features": once}.items():
        found = model(**form)
        for output in ("logits", "matching_gate", "similarity", "patch_token_cosine", "vision_gates", "region_weights"):
            torch.testing.assert_close(found[output], per_post[output], msg=prefixed_with(f"{name}, {output}"))
    assert calls == [4, 4, 2]


def test_features_of_one_model_serve_every_grid_of_prompts():
    first, second = (tiny_model(object_features="regions", prompt_grid=grid) for grid in (1, 3))
    inputs = region_inputs()
    features = first.get_vision_features(inputs["pixel_values"])
    from_pixels = second(**inputs).logits
    del inputs["pixel_values"]
    torch.testing.assert_close(second(**inputs, vision_features=features).logits, from_pixels)


def test_images_of_other_proportions_have_their_own_grid_of_patches():
    model = tiny_model(vision="dinov2", object_features="regions")
    inputs = region_inputs()
    inputs["pixel_values"] = torch.randn(4, 1, 3, IMAGE, 2 * IMAGE)
    inputs["object_boxes"] = torch.tensor([0.5, 0.0, 0.625, 1.0]).expand(4, 2, 4)
    weights = model(**inputs).region_weights[0, 1].view(4, 8)
    assert (weights[:, 4] == 1 / 4).all()
    assert weights.sum() == 1


def test_posts_without_objects_need_no_boxes():
    model, inputs = tiny_model(object_features="regions"), region_inputs()
    inputs["image_mask"][:, 1:] = 0
    bare = {name: value for name, value in inputs.items() if name != "object_boxes"}
    bare["image_mask"] = inputs["image_mask"][:, :1]
    torch.testing.assert_close(model(**bare).logits, model(**inputs).logits)
    whole = {name: value[:1] for name, value in bare.items() if name != "image_mask"}
    torch.testing.assert_close(model(**whole).logits, model(**inputs).logits[:1])


def test_only_the_objects_of_an_image_may_be_read():
    model, inputs = tiny_model(object_features="regions"), region_inputs()
    inputs["image_mask"][0, 0] = 0
    outputs = model(**inputs)
    assert (outputs.matching_gate[0] < 1).all()
    assert outputs.logits.isfinite().all()


def test_training_reaches_the_vision_encoder_through_every_region():
    inputs = region_inputs()
    inputs["image_mask"][:, 0] = 0  # objects alone
    model = tiny_model(object_features="regions").train()
    model(**inputs, labels=torch.tensor([0, 1, 2, 3])).loss.backward()
    without = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not without


@pytest.mark.parametrize(
    "options",
    [{"matching_loss_weight": 1.0}, {"gate_visual_prompts": True}, {"gate_attention": True}, {"prompt_grid": 2}],
)
def test_the_options_of_training_work_with_regions(options):
    model = tiny_model(object_features="regions", **options).train()
    outputs = model(**region_inputs(), labels=torch.tensor([0, 1, 2, 3]))
    outputs.loss.backward()
    assert not [
        name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())
    ]


def test_the_matching_loss_compares_with_the_objects_of_the_preceding_post():
    model, inputs = tiny_model(object_features="regions", matching_loss_weight=1.0).train(), region_inputs()
    inputs["image_mask"][:] = 1
    before = model.tgdi(**inputs).matching_loss
    rolled = {name: inputs[name].roll(1, 0) for name in ("pixel_values", "object_boxes", "image_mask")}
    gates = [model.tgdi(**{**inputs, **images}).matching_gate.mean(dim=1) for images in ({}, rolled)]
    torch.testing.assert_close(before, -(gates[0].log() + (1 - gates[1]).log()).mean() / 2)


def test_half_precision_reads_regions():
    model, inputs = tiny_model(object_features="regions"), region_inputs()
    expected = model(**inputs).logits
    torch.testing.assert_close(model.bfloat16()(**inputs).logits.float(), expected, atol=0.3, rtol=0)


def test_saved_models_keep_reading_regions(tmp_path):
    model = tiny_model(object_features="regions")
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    assert loaded.config.object_features == "regions"
    torch.testing.assert_close(loaded(**region_inputs()).logits, model(**region_inputs()).logits)

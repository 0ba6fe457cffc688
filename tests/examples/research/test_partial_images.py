"""The baselines that read either whole images or objects."""

import pytest
import torch

from examples.research.baselines import (
    BertObjectsForRelationExtraction,
    MEGAForRelationExtraction,
    UMGFForRelationExtraction,
    UMTForRelationExtraction,
    baseline,
    build_baseline,
)

from ...modeling.conftest import IMAGE, tiny_inputs
from .test_baselines import PARTIAL, inputs_for
from .test_baselines import make as make_with_caption

# UMGF sums over 512 channels; a mask that is not respected makes differences of about 1.
CLOSE = {"atol": 1e-4, "rtol": 1e-3}
TEXT = ("input_ids", "attention_mask", "token_type_ids")


def make(model_class, **options):
    return make_with_caption(model_class, use_caption=False, **options)


def full_inputs(model):
    """Four posts with all the images that the model reads, none in the last one."""
    inputs = inputs_for(model)
    inputs["image_mask"] = torch.tensor([[1, 1, 1]] * 3 + [[0, 0, 0]]) * torch.tensor(
        [[model.reads_image] + [model.reads_objects] * 2]
    )
    return inputs


def logits_of(model, inputs):
    with torch.no_grad():
        return model(**inputs).logits


@pytest.mark.parametrize("model_class", PARTIAL)
def test_a_batch_equals_its_rows(model_class):
    model = make(model_class)
    inputs = full_inputs(model)
    together = logits_of(model, inputs)
    for i in range(4):
        alone = {name: value[i : i + 1] for name, value in inputs.items()}
        length = int(alone["attention_mask"].sum())
        alone |= {name: alone[name][:, :length] for name in TEXT}
        if "structure" in alone:
            alone["structure"] = alone["structure"][..., :length]
        torch.testing.assert_close(logits_of(model, alone)[0], together[i], **CLOSE)


@pytest.mark.parametrize("model_class", PARTIAL)
def test_padding_and_its_content_do_not_matter(model_class):
    model = make(model_class)
    inputs = full_inputs(model)
    together = logits_of(model, inputs)
    longer = {**inputs, **{name: torch.nn.functional.pad(inputs[name], (0, 3)) for name in TEXT}}
    longer["input_ids"] = torch.where(longer["attention_mask"] == 0, 7, longer["input_ids"])
    if "structure" in inputs:
        longer["structure"] = torch.nn.functional.pad(inputs["structure"], (0, 3))
    torch.testing.assert_close(logits_of(model, longer), together, **CLOSE)
    # Further empty slots, with pixels that no post uses.
    more = {**inputs, "image_mask": torch.nn.functional.pad(inputs["image_mask"], (0, 2))}
    more["pixel_values"] = torch.cat([inputs["pixel_values"], torch.randn(4, 2, 3, IMAGE, IMAGE)], dim=1)
    if "structure" in inputs:
        more["structure"] = torch.cat([inputs["structure"], torch.rand(4, 2, inputs["structure"].shape[2])], dim=1)
    torch.testing.assert_close(logits_of(model, more), together, **CLOSE)


@pytest.mark.parametrize("model_class", PARTIAL)
def test_every_image_that_is_read_matters_to_its_post_alone(model_class):
    model = make(model_class)
    inputs = full_inputs(model)
    together = logits_of(model, inputs)
    for slot in [0] if model.reads_image else [1, 2]:
        changed = inputs["pixel_values"].clone()
        changed[1, slot] = torch.randn(3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(slot))
        difference = (logits_of(model, {**inputs, "pixel_values": changed}) - together).abs().amax(dim=1)
        assert (difference > 1e-4).tolist() == [False, True, False, False]


@pytest.mark.parametrize("model_class", PARTIAL)
def test_posts_without_images_equal_those_of_a_text_batch(model_class):
    model = make(model_class)
    inputs = full_inputs(model)
    text = {name: inputs[name] for name in (*TEXT, "head_index", "tail_index")}
    torch.testing.assert_close(logits_of(model, text)[3], logits_of(model, inputs)[3], **CLOSE)
    assert not torch.allclose(logits_of(model, text)[:3], logits_of(model, inputs)[:3], atol=1e-3)


@pytest.mark.parametrize("model_class", PARTIAL)
def test_shared_images_give_the_same_logits(model_class):
    model = make(model_class)
    inputs = full_inputs(model)
    shared = {
        **inputs,
        "pixel_values": inputs["pixel_values"].flatten(0, 1),
        "image_index": torch.arange(12).view(4, 3),
    }
    torch.testing.assert_close(logits_of(model, shared), logits_of(model, inputs), **CLOSE)


@pytest.mark.parametrize("model_class", PARTIAL)
def test_a_batch_without_images_gives_gradients_to_all_weights_beside_other_processes(model_class, monkeypatch):
    monkeypatch.setattr(baseline, "trains_with_other_processes", lambda model: True)
    model = make(model_class)
    text = {name: value for name, value in full_inputs(model).items() if name in (*TEXT, "head_index", "tail_index")}
    outputs = model(**text, labels=torch.tensor([0, 1, 2, 3]))
    monkeypatch.undo()
    torch.testing.assert_close(outputs.logits, model(**text).logits, **CLOSE)
    outputs.loss.backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None]
    assert all("vision_tower" in name for name in missing)
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("model_class", PARTIAL)
def test_what_is_not_read_is_refused(model_class):
    model = make(model_class)
    expected = r"objects, but reads whole.*`num_objects=0`" if model.reads_image else r"whole.*`use_image=False`"
    given = {**full_inputs(model), "image_mask": tiny_inputs()["image_mask"]}
    with pytest.raises(ValueError, match=f"{model_class.__name__} got {expected}"):
        model(**given)


def test_num_objects_of_a_baseline_without_objects_is_refused():
    with pytest.raises(ValueError, match="'umt' reads no objects, but `num_objects` is 2"):
        build_baseline("umt", ["None", "a"], "text", "vision", num_objects=2)


@pytest.mark.parametrize("name", ["umgf", "bert-objects", "bert-objects-attention", "mega"])
@pytest.mark.parametrize("options", [{"num_objects": 0}, {"use_vision": False}])
def test_baselines_of_objects_are_not_built_as_text_models(name, options):
    with pytest.raises(ValueError, match=f"'{name}' reads objects and no whole images: .* text model, .* 'mtb'"):
        build_baseline(name, ["None", "a"], "text", "vision", **options)


def test_the_classifier_reads_the_width_of_the_paper():
    widths = {model_class: make(model_class).classifier.in_features for model_class in PARTIAL}
    assert widths[UMTForRelationExtraction] == 4 * 32
    assert widths[UMGFForRelationExtraction] == 2 * (32 + 512)
    assert widths[BertObjectsForRelationExtraction] == widths[MEGAForRelationExtraction] == 2 * 32

"""Models that are spread over devices, or offloaded to the CPU or to disk."""

import pytest
import torch
from accelerate import cpu_offload, disk_offload, infer_auto_device_map
from accelerate.utils import compute_module_sizes

from tgdi_hf import TGDIForRelationExtraction, TGDIModel

from ..examples.research.test_baselines import PARTIAL, VISUAL, inputs_for
from ..examples.research.test_baselines import make as make_baseline
from .conftest import region_inputs, tiny_config, tiny_inputs, tiny_model
from .two_devices import SECOND, TwoDevices, placed, spread

CPU = torch.device("cpu")
LABELS = torch.tensor([0, 1, 2, 3])
PARTS = [
    ["text_encoder"],
    ["text_encoder.embeddings"],
    ["text_encoder.encoder.layer.1", "text_encoder.encoder.layer.2"],
    ["text_encoder.encoder.layer.2", "text_oriented"],
    ["vision_tower"],
    ["vision_tower.encoder.layers.1"],
    ["vision_tower", "visual_prompts"],
    ["visual_prompts"],
    ["visual_prompts.prefix"],
    ["visual_prompts.prefix.layers.1"],
    ["matching_gate"],
    ["self_attention"],
    ["text_oriented"],
    ["text_oriented.prefix"],
]


def first_output(model, inputs):
    with torch.no_grad():
        return model(**inputs)[0]


def saved(model_class, folder, **options):
    torch.manual_seed(0)
    model = model_class(tiny_config(**options)).eval()
    model.save_pretrained(folder)
    return model


def device_map_with(model, part, place):
    """A device map with all modules on the CPU except `part`, in which no module is part of another one."""
    found = {}

    def descend(name, module):
        if name == part or (name and not part.startswith(f"{name}.")):
            found[name] = place if name == part else "cpu"
            return
        for child_name, child in module.named_children():
            descend(f"{name}.{child_name}" if name else child_name, child)

    descend("", model)
    return found


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("model_class", [TGDIModel, TGDIForRelationExtraction])
@pytest.mark.parametrize("how", ["auto, a third", "auto, most", "cpu", "disk"])
def test_an_offloaded_model_equals_the_model(model_class, share, how, inputs, tmp_path):
    model = saved(model_class, tmp_path / "model", toi_share_text_encoder=share)
    expected = first_output(model, inputs)
    if how.startswith("auto"):
        room = int(compute_module_sizes(model)[""] * (0.35 if "third" in how else 0.8))
        model = model_class.from_pretrained(
            tmp_path / "model", device_map="auto", max_memory={"cpu": room}, offload_folder=tmp_path / "offload"
        ).eval()
        assert set(model.hf_device_map.values()) == {"cpu", "disk"}
    elif how == "cpu":
        model = cpu_offload(model, execution_device=CPU)
    else:
        model = disk_offload(model, tmp_path / "offload", execution_device=CPU)
    assert any(parameter.is_meta for parameter in model.parameters())
    torch.testing.assert_close(first_output(model, inputs), expected, atol=1e-6, rtol=0)


@pytest.mark.parametrize("part", sorted({part for parts in PARTS for part in parts}))
def test_any_part_can_be_offloaded_to_disk(part, inputs, tmp_path):
    model = saved(TGDIModel, tmp_path / "model")
    device_map = device_map_with(model, part, "disk")
    offloaded = TGDIModel.from_pretrained(
        tmp_path / "model", device_map=device_map, offload_folder=tmp_path / "offload"
    )
    assert all(p.is_meta for p in offloaded.eval().get_submodule(part).parameters())
    torch.testing.assert_close(first_output(offloaded, inputs), first_output(model, inputs), atol=1e-6, rtol=0)


def test_the_simulated_devices_do_not_mix():
    with TwoDevices():
        here, there = torch.ones(2), placed(torch.ones(2), SECOND)
        assert (here.device, there.device, (2 * there).device) == (CPU, SECOND, SECOND)
        assert here.to(SECOND).device == here.to(there).device == torch.ones(2, device=SECOND).device == SECOND
        with pytest.raises(RuntimeError, match="add got tensors on cpu and cpu:1"):
            here + there


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("second", PARTS, ids=" and ".join)
def test_a_model_on_two_devices_equals_the_model(second, share, inputs):
    options = {"toi_share_text_encoder": share, "gate_visual_prompts": True}
    model = tiny_model(**options)
    expected = model(**inputs, labels=LABELS, output_hidden_states=True)
    with spread(model, [f"tgdi.{part}" for part in second]):
        outputs = model(**inputs, labels=LABELS, output_hidden_states=True)
    for name, value in expected.items():
        torch.testing.assert_close(outputs[name], value)


@pytest.mark.parametrize("second", ["text_encoder", "vision_tower", "vision_tower.encoder.layers.1", "matching_gate"])
def test_further_losses_and_inputs_on_two_devices(second, inputs):
    options = {"matching_loss_weight": 1.0, "branch_consistency_weight": 1.0, "gate_attention": True}
    features = {**inputs, "vision_features": tiny_model().get_vision_features(inputs["pixel_values"]).detach()}
    features.pop("pixel_values")
    shared = {
        **inputs,
        "pixel_values": inputs["pixel_values"].flatten(0, 1),
        "image_index": torch.arange(12).view(4, 3),
    }
    for given in (inputs, features, shared, tiny_inputs(images=False)):
        model = tiny_model(**options).train()
        expected = model(**given, labels=LABELS)
        with spread(model, [f"tgdi.{second}"]):
            outputs = model(**given, labels=LABELS)
        torch.testing.assert_close(outputs.loss, expected.loss)
        torch.testing.assert_close(outputs.logits, expected.logits)


@pytest.mark.parametrize("second", ["vision_tower", "vision_tower.encoder.layers.1", "visual_prompts", "matching_gate"])
def test_regions_on_two_devices(second):
    inputs = region_inputs()
    model = tiny_model(object_features="regions", matching_loss_weight=1.0).train()
    expected = model(**inputs, labels=LABELS)
    with spread(model, [f"tgdi.{second}"]):
        outputs = model(**inputs, labels=LABELS)
    torch.testing.assert_close(outputs.loss, expected.loss)
    torch.testing.assert_close(outputs.logits, expected.logits)


@pytest.mark.parametrize("second", ["vision_tower", "text_encoder", "text_encoder.encoder.layer.2"])
@pytest.mark.parametrize("model_class", [*VISUAL, *PARTIAL])
def test_baselines_on_two_devices(model_class, second):
    model = make_baseline(model_class)
    inputs = inputs_for(model)
    expected = first_output(model, inputs)
    with spread(model, [second]):  # UMGF's logits differ in the last digit
        torch.testing.assert_close(first_output(model, inputs), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("share", [True, False])
def test_no_split_modules_are_not_split(share):
    model = tiny_model(toi_share_text_encoder=share)
    whole = {name for name, module in model.named_modules() if type(module).__name__ in model._no_split_modules}
    assert {"tgdi.visual_prompts", "tgdi.matching_gate", "tgdi.self_attention", "tgdi.text_oriented.prefix"} <= whole
    assert "tgdi.text_encoder.encoder.layer.0" in whole  # from the list of the text encoder
    size = compute_module_sizes(model)[""]
    for share_of_room in (0.2, 0.4, 0.6, 0.8):
        room = {"cpu": int(share_of_room * size), "disk": 10 * size}
        divided = infer_auto_device_map(model, room, no_split_module_classes=model._no_split_modules)
        assert not [name for name in divided if any(name.startswith(f"{block}.") for block in whole)]

import numpy as np
import pytest
import torch

from tgdi_hf.export.exported_model import ExportedTGDI
from tgdi_hf.export.exporting import export_model
from tgdi_hf.export.manifest import ONNX, OPENVINO

from ..modeling.conftest import region_inputs, tiny_model
from .conftest import FORMS, SIZES, assert_agree, inputs_of, require_packages


class NoProcessor:
    def save_pretrained(self, folder):
        """Models of the modeling tests have none."""


@pytest.fixture(scope="module", params=[ONNX, OPENVINO])
def exported(request):
    return ExportedTGDI(request.getfixturevalue(f"{request.param}_folder"))


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("form", FORMS)
def test_outputs_are_those_of_the_model(form, size, exported, source):
    """Exported with two posts; a dimension that became a constant of the graph would fail here."""
    assert_agree(exported, source[0], inputs_of(form, *size), form)


def test_a_post_without_images_in_a_batch_of_none_or_some_has_one_answer(exported):
    """The last post of a batch has no image: an image of zeros in no slot changes nothing."""
    inputs = inputs_of("pixels", 3)
    mixed = exported(**inputs).logits[2]
    alone = exported(
        **{name: value[2:] for name, value in inputs.items() if name not in ("pixel_values", "image_mask")}
    )
    torch.testing.assert_close(mixed, alone.logits[0], atol=1e-5, rtol=0)
    assert alone.similarity is None and alone.vision_gates is None


def test_arrays_are_inputs_too(exported):
    inputs = inputs_of("pixels", 2)
    arrays = {name: value.numpy() for name, value in inputs.items()}
    assert isinstance(arrays["input_ids"], np.ndarray)
    assert torch.equal(exported(**arrays).logits, exported(**inputs).logits)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"output_hidden_states": True},
            "no hidden states (evidence and explanations read them). Use the PyTorch check",
        ),
        ({"output_attentions": True}, "`output_attentions`: an exported model computes no attention weights"),
        ({"labels": torch.tensor([0, 1])}, "`labels`: an exported model computes no loss"),
        ({"inputs_embeds": torch.zeros(2, 9, 64)}, "`inputs_embeds`: an exported model computes no gradients"),
        ({"head_index": None}, "`head_index` and `tail_index` are required"),
        ({"input_ids": None}, "Got `attention_mask` without `input_ids`"),
        ({"head_index": torch.tensor([0, 99])}, "`head_index` of post 1 has 99, outside 0 to 8 of the text"),
        ({"image_mask": torch.ones(2, 9)}, "needs one `image_mask` and one `image_index` entry per image slot"),
        ({"pixel_values": torch.zeros(2, 3, 3, 32, 32)}, "`pixel_values` has shape (2, 3, 3, 32, 32)"),
        ({"vision_features": torch.zeros(2, 3, 1, 1)}, "Expected `pixel_values` or `vision_features`, got both"),
        ({"pixel_values": None}, "Got `image_mask`, `image_index` or `object_boxes` without `pixel_values`"),
        ({"object_boxes": torch.zeros(2, 1, 4)}, "the model has `object_features='crops'`"),
    ],
)
def test_wrong_inputs_are_refused(changes, message, onnx_folder):
    exported = ExportedTGDI(onnx_folder)
    with pytest.raises(ValueError) as error:
        exported(**{**inputs_of("pixels", 2), **changes})
    assert message in str(error.value)


def test_unknown_arguments_are_refused(onnx_folder):
    with pytest.raises(TypeError, match="unexpected argument 'pixels'; expected input_ids"):
        ExportedTGDI(onnx_folder)(**inputs_of("pixels", 2), pixels=None)


def test_too_long_texts_are_refused(onnx_folder):
    with pytest.raises(ValueError, match="A text has 200 tokens; this text encoder has positions for 128"):
        ExportedTGDI(onnx_folder)(**inputs_of("no images", 2, length=200))


def test_saving_points_at_the_folder(onnx_folder):
    with pytest.raises(ValueError, match="An exported model is its folder: copy"):
        ExportedTGDI(onnx_folder).save_pretrained("elsewhere")


@pytest.mark.slow
@pytest.mark.parametrize("format", [ONNX, OPENVINO])
@pytest.mark.parametrize("single", [False, True])
@pytest.mark.parametrize(
    "options",
    [
        {"text": "roberta", "vision": "vit", "attn_implementation": "eager", "prompt_grid": 2},
        {"text": "electra", "vision": "dinov2", "toi_share_text_encoder": False, "gate_visual_prompts": True},
        {"use_visual_prompts": False, "num_objects": 1, "gate_attention": True},
        {"object_features": "regions", "num_objects": 4},
        {"object_features": "regions", "num_objects": 1, "prompt_grid": 2},
        {"use_visual_prompts": False, "use_matching_gate": False},
        {"similarity_function": "dot", "use_text_oriented_interaction": False, "num_objects": 0},
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_every_variant_exports(format, single, options, tmp_path):
    require_packages(format)
    model = tiny_model(**options)
    export_model(model, NoProcessor(), tmp_path / "exported", format, single_graph=single)
    exported, most = ExportedTGDI(tmp_path / "exported"), model.config.num_objects
    for batch, length, caption, slots in SIZES:
        if model.config.object_features == "regions":
            inputs = region_inputs(batch, length, caption, objects=min(slots, most))
        else:
            inputs = inputs_of("pixels", batch, length, caption, min(slots, 1 + most))
            inputs["pixel_values"] = inputs["pixel_values"][..., :32, :32]
        assert_agree(exported, model, inputs)
        assert_agree(exported, model, {n: v for n, v in inputs.items() if n[:5] not in ("pixel", "image", "objec")})

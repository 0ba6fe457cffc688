"""Exported and traced models: one graph computes the logits of every batch size."""

import pytest
import torch
from torch import nn
from torch.export import Dim

from tgdi_hf import TGDIModel

from .conftest import IMAGE, region_inputs, tiny_config, tiny_inputs, tiny_model

pytestmark = pytest.mark.no_cover
SIZES = [(1, 9, 5, 3), (3, 9, 5, 2), (4, 9, 5, 3), (2, 12, 7, 1)]  # posts, tokens, caption tokens, images per post
VARIANTS = [
    ("roberta", "vit", {"attn_implementation": "eager"}),
    ("electra", "dinov2", {"toi_share_text_encoder": False, "prompt_grid": 2, "gate_visual_prompts": True}),
    ("camembert", "dinov3_vit", {"use_matching_gate": False, "self_attention_residual": False}),
    (
        "xlm-roberta",
        "siglip_vision_model",
        {"use_visual_prompts": False, "direction_balanced": True, "inverse_labels": 2},
    ),
]
FORMS = ["pixels", "features", "shared images", "no images", "no captions", "no masks"]
LABELS = ["None", *"abcd"]


def make(text="bert", vision="clip_vision_model", **options):
    if "inverse_labels" in options:
        options |= {"id2label": dict(enumerate(LABELS)), "label2id": {n: i for i, n in enumerate(LABELS)}}
        options |= {"num_labels": 5, "symmetric_relations": []}
    return tiny_model(text=text, vision=vision, **options)


def inputs_of(form, batch, length=9, caption=5, slots=3):
    inputs = tiny_inputs(batch, length, caption, slots, images=form != "no images")
    if form == "regions":
        return region_inputs(batch, length, caption, objects=slots)
    if form == "features":
        inputs["vision_features"] = tiny_model().get_vision_features(inputs.pop("pixel_values")).detach()
    if form == "shared images":
        inputs["pixel_values"] = torch.randn(batch + 2, 3, IMAGE, IMAGE, generator=torch.Generator().manual_seed(3))
        inputs["image_index"] = torch.arange(slots * batch).view(batch, slots) % (batch + 2)
    if form == "no captions":
        inputs = {name: value for name, value in inputs.items() if not name.startswith("enhanced")}
    if form == "no masks":
        inputs = {name: value for name, value in inputs.items() if not name.endswith(("mask", "type_ids"))}
    return inputs


def dynamic_shapes(inputs, kind):
    """The dimensions that vary between batches: posts, tokens, tokens with caption, slots, distinct images."""
    bounds = {"posts": 64, "text": 60, "enhanced": 60, "slots": 4, "images": 64}
    named = {name: Dim.AUTO if kind == "auto" else Dim(name, min=1, max=bound) for name, bound in bounds.items()}

    def of(name):
        if name in ("pixel_values", "vision_features") and "image_index" in inputs:
            return {0: named["images"]}
        if "object_boxes" in inputs and name == "pixel_values":
            return {0: named["posts"]}
        if "object_boxes" in inputs and name == "image_mask" and kind == "dimensions":
            return {0: named["posts"], 1: named["slots"] + 1}
        if name in ("pixel_values", "vision_features", "image_mask", "image_index", "object_boxes"):
            return {0: named["posts"], 1: named["slots"]}
        if name in ("head_index", "tail_index"):
            return {0: named["posts"]}
        return {0: named["posts"], 1: named["enhanced" if name.startswith("enhanced") else "text"]}

    return {name: of(name) for name in inputs}


def assert_equal_at_every_size(run, model, form):
    for size in SIZES:
        inputs = inputs_of(form, *size)
        with torch.no_grad():
            torch.testing.assert_close(run(**inputs), model(**inputs)[0], atol=1e-5, rtol=0)


def export(model, inputs, kind):
    with torch.no_grad():
        exported = torch.export.export(model, (), inputs, dynamic_shapes=dynamic_shapes(inputs, kind)).module()
    return lambda **inputs: exported(**inputs)[0]


class Positional(nn.Module):
    """Takes positional tensors and returns a tensor, as `torch.jit.trace` and the older ONNX exporter require."""

    def __init__(self, model, names):
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *tensors):
        return self.model(**dict(zip(self.names, tensors, strict=True)))[0]


def trace(model, inputs):
    traced = torch.jit.trace(Positional(model, list(inputs)), tuple(inputs.values()), check_trace=False)
    return lambda **inputs: traced(*inputs.values())


@pytest.mark.parametrize(
    ("form", "kind"),
    [
        ("shared images", "dimensions"),
        pytest.param("pixels", "auto", marks=pytest.mark.slow),
        *(pytest.param(form, "dimensions", marks=pytest.mark.slow) for form in FORMS if form != "shared images"),
    ],
)
def test_an_exported_model_accepts_every_batch_size(form, kind):
    model = make()
    assert_equal_at_every_size(export(model, inputs_of(form, 4), kind), model, form)


@pytest.mark.parametrize(("text", "vision", "options"), [pytest.param(*of, marks=pytest.mark.slow) for of in VARIANTS])
def test_every_variant_exports(text, vision, options):
    model = make(text, vision, **options)
    assert_equal_at_every_size(export(model, inputs_of("pixels", 4), "dimensions"), model, "pixels")


@pytest.mark.parametrize("options", [{}, pytest.param({"prompt_grid": 2}, marks=pytest.mark.slow)])
def test_a_model_that_reads_regions_exports(options):
    model = tiny_model(object_features="regions", num_objects=4, **options)
    assert_equal_at_every_size(export(model, inputs_of("regions", 4), "dimensions"), model, "regions")


@pytest.mark.slow
def test_the_body_exports():
    model = TGDIModel(tiny_config()).eval()
    assert_equal_at_every_size(export(model, inputs_of("pixels", 4), "auto"), model, "pixels")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("form", FORMS)
def test_a_traced_model_accepts_every_batch_size(batch, form):
    """A model traced with a single post must not read the states of that post in every row."""
    model = make()
    assert_equal_at_every_size(trace(model, inputs_of(form, batch)), model, form)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("batch", [1, 4])
def test_a_model_that_reads_regions_traces(batch):
    model = tiny_model(object_features="regions", num_objects=4)
    assert_equal_at_every_size(trace(model, inputs_of("regions", batch)), model, "regions")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize(("text", "vision", "options"), VARIANTS)
def test_every_variant_traces(text, vision, options):
    model = make(text, vision, **options)
    assert_equal_at_every_size(trace(model, inputs_of("pixels", 1)), model, "pixels")


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")
@pytest.mark.parametrize("form", ["pixels", "no images"])
def test_a_traced_onnx_model_accepts_every_batch_size(form, tmp_path):
    pytest.importorskip("onnx", reason="the exporter requires onnx")
    runtime = pytest.importorskip("onnxruntime", reason="running the exported model requires onnxruntime")
    model, inputs = make(), inputs_of(form, 1)
    axes = {name: {i: f"{name}_{i}" for i in shape} for name, shape in dynamic_shapes(inputs, "auto").items()}
    torch.onnx.export(
        Positional(model, list(inputs)), tuple(inputs.values()), tmp_path / "model.onnx", dynamo=False,
        input_names=list(inputs), output_names=["logits"], dynamic_axes=axes | {"logits": {0: "posts"}},
    )  # fmt: skip
    session = runtime.InferenceSession(tmp_path / "model.onnx")

    def run(**inputs):
        return torch.from_numpy(session.run(["logits"], {name: value.numpy() for name, value in inputs.items()})[0])

    assert_equal_at_every_size(run, model, form)

"""One export per format, which all tests share: making one takes seconds."""

import copy
from contextlib import contextmanager

import coverage
import pytest
import torch

from tgdi_hf import TGDIForRelationExtraction
from tgdi_hf.export.exporting import export_model
from tgdi_hf.export.manifest import ONNX, OPENVINO

from ..modeling.conftest import tiny_inputs

IMAGE = 64
# Other sizes than those of the example that is traced: posts, tokens, caption tokens, images per post.
SIZES = [(1, 9, 5, 3), (3, 8, 4, 2), (4, 9, 6, 4), (16, 12, 7, 1)]
FORMS = ["pixels", "features", "shared images", "no images", "no captions", "no objects", "no masks"]


def require_packages(format):
    for package in ("onnx", "onnxscript", "onnxruntime") if format == ONNX else ("openvino",):
        pytest.importorskip(package, reason=f"requires the extra `{format}`")


@pytest.fixture(scope="session")
def source(_tiny):
    """A model that reads up to three objects, with weights so large that its logits depend on every input."""
    model, processor = map(copy.copy, _tiny)
    config = copy.deepcopy(model.config)
    config.num_objects = processor.num_objects = 3
    torch.manual_seed(0)
    model = TGDIForRelationExtraction(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    return model, processor


@contextmanager
def without_coverage(owner, name):
    """Pauses coverage, if it is measured, in a method of another package that it slows down."""
    method = getattr(owner, name)

    def paused(*args, **kwargs):
        running = coverage.Coverage.current()
        if running is None:
            return method(*args, **kwargs)
        running.stop()
        try:
            return method(*args, **kwargs)
        finally:
            running.start()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, paused)
        yield


@pytest.fixture(scope="session")
def onnx_folder(source, tmp_path_factory):
    """Two graphs for ONNX Runtime."""
    require_packages(ONNX)
    from transformers.exporters import OnnxExporter

    folder = tmp_path_factory.mktemp("onnx") / "exported"
    with without_coverage(OnnxExporter, "export"):
        export_model(*source, folder)
    return folder


@pytest.fixture(scope="session")
def openvino_folder(source, tmp_path_factory):
    """A single graph for OpenVINO."""
    require_packages(OPENVINO)
    folder = tmp_path_factory.mktemp("openvino") / "exported"
    export_model(*source, folder, OPENVINO, single_graph=True)
    return folder


def inputs_of(form, batch, length=9, caption=5, slots=3):
    inputs = tiny_inputs(batch, length, caption, 1 if form == "no objects" else slots, images=form != "no images")
    slots = inputs["image_mask"].shape[1] if form != "no images" else 0
    generator = torch.Generator().manual_seed(2)
    if form != "no images":
        inputs["pixel_values"] = torch.randn(batch, slots, 3, IMAGE, IMAGE, generator=generator)
    if form in ("features", "shared images"):
        inputs["pixel_values"] = torch.randn(batch + 2, 3, IMAGE, IMAGE, generator=generator)
        inputs["image_index"] = torch.arange(slots * batch).view(batch, slots) % (batch + 2)
    if form == "no captions":
        inputs = {name: value for name, value in inputs.items() if not name.startswith("enhanced")}
    if form == "no masks":
        inputs = {name: value for name, value in inputs.items() if not name.endswith(("mask", "type_ids"))}
    return inputs


def assert_agree(exported, model, inputs, form=""):
    """Every output of the model at this size, and no other."""
    given = dict(inputs)
    if form == "features":
        given["vision_features"] = exported.get_vision_features(given.pop("pixel_values"))
    with torch.no_grad():
        expected, found = model(**inputs), exported(**given)
    assert {*found} == {*expected}
    for name, value in expected.items():
        tolerance = 1e-4 if name == "logits" else 1e-5
        torch.testing.assert_close(
            found[name], value, atol=tolerance, rtol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )

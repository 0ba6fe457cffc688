import json
import shutil

import pytest

from tgdi_hf import __version__
from tgdi_hf.export.exported_model import ExportedTGDI
from tgdi_hf.export.manifest import ExportManifest
from tgdi_hf.preparation.checkpoint_identity import weights_digest


@pytest.fixture
def folder(tmp_path):
    """The files of an export, but for what is in them."""
    manifest = ExportManifest("onnx", ["vision", "fusion"], False, 20, None, [10, 8], "0123")
    manifest.write(tmp_path)
    for name in manifest.graphs:
        manifest.path(tmp_path, name).touch()
    return tmp_path


def change(folder, **fields):
    file = folder / "tgdi_export.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **fields}))


def test_what_is_written_is_read(folder):
    assert ExportManifest.read(folder) == ExportManifest("onnx", ["vision", "fusion"], False, 20, None, [10, 8], "0123")


def test_an_export_says_what_it_was_made_of(onnx_folder, openvino_folder, source):
    onnx, openvino = map(ExportManifest.read, (onnx_folder, openvino_folder))
    assert (onnx.format, onnx.graphs, onnx.opset, onnx.int8) == ("onnx", ["vision", "fusion"], 20, False)
    assert (openvino.format, openvino.graphs, openvino.opset) == ("openvino", ["model"], None)
    assert onnx.weights == openvino.weights == weights_digest(source[0])
    assert onnx.tgdi_hf == __version__ and {"transformers", "torch", "onnx"} <= onnx.packages.keys()
    # c · G + n tokens of width d_v: three hidden states, 8 × 8 patches, or pixels.
    assert (onnx.image_shape, openvino.image_shape) == ([3 + 64, 64], [3, 64, 64])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"tgdi_hf": "9.9.1"}, "was exported by tgdi_hf 9.9.1 (layout 1), but this is tgdi_hf"),
        ({"schema": 7}, "(layout 7), but this is"),
        ({"format": "tflite"}, "has the fields check, format"),
        ({"further": 1}, "has the fields check, format, further"),
    ],
)
def test_other_versions_are_refused(fields, message, folder):
    change(folder, **fields)
    with pytest.raises(ValueError) as error:
        ExportedTGDI(folder)
    assert message in str(error.value) and "Export the checkpoint again" in str(error.value)


def test_patch_releases_read_each_other(folder):
    change(folder, tgdi_hf=".".join([*__version__.split(".")[:2], "99"]))
    assert ExportManifest.read(folder).tgdi_hf.endswith(".99")


def test_damaged_folders_are_refused(folder, tmp_path_factory):
    (folder / "vision.onnx").unlink()
    with pytest.raises(ValueError, match=r"lacks vision\.onnx\. Export the checkpoint again"):
        ExportManifest.read(folder)
    (folder / "tgdi_export.json").write_text("{")
    with pytest.raises(ValueError, match=r"tgdi_export\.json is damaged"):
        ExportManifest.read(folder)
    shutil.rmtree(folder)
    with pytest.raises(ValueError, match=r"has no tgdi_export\.json; expected a folder written by `tgdi export`"):
        ExportManifest.read(folder)

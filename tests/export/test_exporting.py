import inspect
import json
import shutil

import pytest
import torch

from tgdi_hf import TGDIForRelationExtraction
from tgdi_hf.checkpoints import check_checkpoint
from tgdi_hf.export import exporting
from tgdi_hf.export.checking import ExportCheck
from tgdi_hf.export.exported_model import ExportedTGDI
from tgdi_hf.export.exporting import check_export_options, export_model
from tgdi_hf.export.manifest import ONNX, OPENVINO

from .conftest import assert_agree, inputs_of, require_packages

ROWS = [{"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}] * 200


@pytest.fixture
def ready_graphs(onnx_folder, monkeypatch):
    """Graphs are copied instead of made."""

    def copy(graph, folder, format, int8, opset):
        for file in onnx_folder.glob(f"{graph.name}.*"):
            shutil.copy(file, folder)

    monkeypatch.setattr(exporting, "_write_graph", copy)


def test_a_folder_is_complete(onnx_folder):
    names = {file.name for file in onnx_folder.iterdir()}
    assert {"vision.onnx", "fusion.onnx", "config.json", "processor_config.json", "tgdi_export.json"} <= names
    assert not [file for file in onnx_folder.parent.iterdir() if file.name.startswith(".")]


def test_a_checkpoint_is_required_elsewhere(onnx_folder):
    check_checkpoint(str(onnx_folder), exports=True)
    with pytest.raises(ValueError, match="is an export, without weights for PyTorch; expected the checkpoint"):
        check_checkpoint(str(onnx_folder))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "tflite"}, "`format` is 'tflite'; expected one of 'onnx', 'openvino'"),
        ({"opset": 9}, "`opset` is 9; expected 18 to 23, or none for 20"),
        ({"format": OPENVINO, "opset": 18}, "`opset` is 18, but the format 'openvino' has no opsets"),
    ],
)
def test_unknown_options_are_refused(options, message, tmp_path):
    with pytest.raises(ValueError) as error:
        check_export_options(tmp_path / "new", **options)
    assert message in str(error.value)


def test_existing_folders_are_kept(tmp_path, source):
    require_packages(ONNX)
    (tmp_path / "file").touch()
    for place in (tmp_path, tmp_path / "file"):
        with pytest.raises(FileExistsError, match="exists; expected the name of a new folder, or an empty one"):
            export_model(*source, place, force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_missing_packages_are_named(monkeypatch, tmp_path):
    monkeypatch.setattr(exporting, "is_installed", lambda package: package not in ("onnx", "onnxscript"))
    with pytest.raises(ImportError, match=r"to onnx requires onnx, onnxscript: pip install 'tgdi_hf\[onnx\]'"):
        check_export_options(tmp_path / "new")


def test_integers_are_refused_where_they_are_slow(monkeypatch, tmp_path):
    require_packages(ONNX)
    monkeypatch.setattr(exporting, "cpu_flags", lambda: {"sse2"})
    with pytest.raises(ValueError, match="8-bit weights would be slower on this machine, whose CPU has none of"):
        check_export_options(tmp_path / "new", int8=True)
    check_export_options(tmp_path / "new", int8=True, force=True)


@pytest.mark.parametrize(("changed", "force", "written"), [(2, False, True), (3, False, False), (3, True, True)])
def test_integers_that_change_answers_are_refused(changed, force, written, ready_graphs, source, tmp_path, monkeypatch):
    """One per cent of 200 answers is two."""
    monkeypatch.setattr(exporting, "check_export", lambda *_: ExportCheck(200, changed, 0.25))
    folder = tmp_path / "exported"
    if written:
        assert export_model(*source, folder, int8=True, check=ROWS, force=force).changed == changed
        stored = json.loads((folder / "tgdi_export.json").read_text())
        assert stored["check"] == {"rows": 200, "changed": changed, "largest_difference": 0.25} and stored["int8"]
    else:
        with pytest.raises(
            ValueError, match=r"8-bit weights change 3 of 200 answers, more than 1%.*nothing was written"
        ):
            export_model(*source, folder, int8=True, check=ROWS)
        assert not [*tmp_path.iterdir()]


def test_a_failure_leaves_nothing(source, tmp_path, monkeypatch):
    require_packages(ONNX)

    def fail(self, pixel_values):
        raise RuntimeError("no such operator")

    monkeypatch.setattr(exporting.graphs_of.__globals__["VisionGraph"], "forward", fail)
    with pytest.raises(
        ValueError, match="'vision' can't be exported to onnx with the encoders bert and vit.*no such op"
    ):
        export_model(*source, tmp_path / "exported")
    assert not [*tmp_path.iterdir()]


def test_other_dtypes_are_refused(source, tmp_path):
    require_packages(ONNX)
    model = TGDIForRelationExtraction(source[0].config).bfloat16()
    with pytest.raises(ValueError, match=r"has the dtype torch\.bfloat16; load it with `dtype=torch\.float32`"):
        export_model(model, source[1], tmp_path / "exported")


def test_the_exporters_of_transformers_are_as_expected():
    """They are experimental: another interface fails here rather than in the middle of an export."""
    from transformers import exporters

    advice = "transformers.exporters has changed: adapt tgdi_hf/export/exporting.py and quantization.py"
    for exporter in (exporters.OnnxExporter, exporters.OpenVINOExporter):
        assert [*inspect.signature(exporter.export).parameters] == ["self", "model", "sample_inputs", "config"], advice
        assert [*inspect.signature(exporter.save_program).parameters] == ["program", "path"], advice
    expected = {
        exporters.OnnxConfig: {"dynamic_shapes", "opset_version"},
        exporters.OpenVINOConfig: {"dynamic_shapes", "stateful"},
        exporters.OnnxRuntimeDynamicConfig: {"op_types_to_quantize", "per_channel"},
        exporters.NNCFWeightCompressionConfig: {"mode"},
    }
    for config, fields in expected.items():
        assert fields <= {*inspect.signature(config).parameters}, advice
    for quantizer in (exporters.OnnxRuntimeQuantizer, exporters.NNCFOpenVINOQuantizer):
        parameters = [*inspect.signature(quantizer.quantize).parameters]
        assert parameters == ["self", "model", "sample_inputs", "export_format"], advice
    assert {str(one) for one in exporters.ExportFormat} >= {ONNX, OPENVINO}, advice


@pytest.mark.slow
@pytest.mark.parametrize("opset", exporting.OPSETS)
def test_every_opset(opset, source, tmp_path):
    require_packages(ONNX)
    export_model(*source, tmp_path / "exported", opset=opset)
    with torch.no_grad():
        assert_agree(ExportedTGDI(tmp_path / "exported"), source[0], inputs_of("pixels", 3))


@pytest.mark.slow
@pytest.mark.parametrize("format", [ONNX, OPENVINO])
def test_integers_from_end_to_end(format, source, corpus, tmp_path):
    require_packages(format)
    if format == OPENVINO:
        pytest.importorskip("nncf", reason="requires the extra `openvino`")
    rows = corpus["validation"]
    done = export_model(*source, tmp_path / "exported", format, int8=True, check=rows, force=True)
    assert done.rows == len(rows) and done.largest_difference > 0
    assert json.loads((tmp_path / "exported" / "tgdi_export.json").read_text())["int8"]

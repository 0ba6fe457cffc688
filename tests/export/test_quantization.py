import shutil

import pytest
import torch

from tgdi_hf.export import quantization
from tgdi_hf.export.exported_model import ExportedTGDI
from tgdi_hf.export.graphs import graphs_of
from tgdi_hf.export.quantization import check_quantization, cpu_flags, quantize, slow_int8

from .conftest import inputs_of


def test_onnx_weights_become_integers(onnx_folder, source, tmp_path):
    """Logits move by little, and every product with a weight is one of integers, also with those of shared layers."""
    onnx_ir = pytest.importorskip("onnx_ir")
    from transformers.exporters import OnnxExporter

    folder = shutil.copytree(onnx_folder, tmp_path / "int8")
    for graph in graphs_of(source[0]):
        file = folder / f"{graph.name}.onnx"
        program = quantize(onnx_ir.load(onnx_folder / file.name), graph.inputs, "onnx")
        left = [node for node in program.graph if node.op_type in ("MatMul", "Gemm")]
        weights = program.graph.initializers
        assert not [node for node in left if any(one.name in weights for one in node.inputs)]
        assert [node for node in program.graph if node.op_type == "MatMulInteger"]
        OnnxExporter.save_program(program, file)
    inputs = inputs_of("pixels", 4)
    single, integer = (ExportedTGDI(one)(**inputs).logits for one in (onnx_folder, folder))
    assert not torch.equal(single, integer)
    assert (single - integer).abs().mean() < 0.2 * single.std()


def test_openvino_weights_become_integers(openvino_folder, source, tmp_path):
    openvino = pytest.importorskip("openvino")
    pytest.importorskip("nncf", reason="requires the extra `openvino`")
    program = openvino.Core().read_model(openvino_folder / "model.xml")
    before = sum(one.get_element_type() == openvino.Type.i8 for one in program.get_ordered_ops() if one.outputs())
    [graph] = graphs_of(source[0], single=True)
    quantised = quantize(program, graph.inputs, "openvino")
    types = [
        one.output(0).get_element_type()
        for one in quantised.get_ordered_ops()
        if one.get_type_name() == "Constant" and len(one.output(0).get_shape()) == 2
    ]
    assert types.count(openvino.Type.i8) > 10 and not before


@pytest.mark.parametrize(
    ("flags", "slow"),
    [({"sse4_2"}, True), ({"sse4_2", "avx2"}, False), ({"avx512_vnni"}, False), ({"asimddp"}, False), (None, False)],
)
def test_integers_need_their_instructions(flags, slow):
    reason = slow_int8(flags)
    assert (reason is not None) == slow
    assert reason is None or "none of the instructions avx512_vnni, avx_vnni" in reason


def test_flags_are_those_of_linux(monkeypatch):
    if (flags := cpu_flags()) is not None:
        assert flags and all(" " not in flag for flag in flags)
    monkeypatch.setattr(quantization.platform, "system", lambda: "Darwin")
    assert cpu_flags() is None


def test_openvino_requires_nncf(monkeypatch):
    monkeypatch.setattr("tgdi_hf.extras.is_installed", lambda module: module != "nncf")
    check_quantization("onnx")
    with pytest.raises(ImportError, match=r"--int8 with OpenVINO requires nncf: pip install 'tgdi_hf\[openvino\]'"):
        check_quantization("openvino")

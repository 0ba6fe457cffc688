import numpy as np
import pytest

from tgdi_hf.export.weight_folding import fold_transposed_weights


def test_transposed_weights_become_constants():
    """Two products share the weight; the transposed input is no weight, and stays."""
    onnx_ir = pytest.importorskip("onnx_ir")
    runtime = pytest.importorskip("onnxruntime")
    weight = np.arange(6, dtype=np.float32).reshape(2, 3)
    kind = onnx_ir.TensorType(onnx_ir.DataType.FLOAT)
    x = onnx_ir.Value(name="x", shape=onnx_ir.Shape([3, 3]), type=kind)
    w = onnx_ir.Value(name="w", const_value=onnx_ir.tensor(weight, name="w"), type=kind, shape=onnx_ir.Shape([2, 3]))
    nodes = []
    for name in "ab":
        nodes.append(onnx_ir.node("Transpose", [w], {"perm": [1, 0]}))
        nodes.append(onnx_ir.node("MatMul", [x, nodes[-1].outputs[0]], name=name))
    turned = onnx_ir.node("Transpose", [x], {"perm": [1, 0]})
    products = [node.outputs[0] for node in nodes if node.op_type == "MatMul"]
    total = onnx_ir.node("Add", products)
    further = onnx_ir.node("MatMul", [turned.outputs[0], total.outputs[0]])
    result = further.outputs[0]
    result.name, result.type, result.shape = "y", kind, onnx_ir.Shape([3, 2])
    graph = onnx_ir.Graph(
        [x], [result], nodes=[*nodes, turned, total, further], initializers=[w], opset_imports={"": 20}, name="g"
    )
    model = onnx_ir.Model(graph, ir_version=10)

    assert fold_transposed_weights(model) == 2
    assert [node.op_type for node in model.graph].count("Transpose") == 1
    assert [*model.graph.initializers] == ["w.transposed.1.0"]
    session = runtime.InferenceSession(onnx_ir.to_proto(model).SerializeToString())
    given = np.array([[1, 0, 2], [0, 1, 0], [3, 0, 1]], dtype=np.float32)
    np.testing.assert_allclose(session.run(None, {"x": given})[0], given.T @ (2 * given @ weight.T))

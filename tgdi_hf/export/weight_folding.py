"""Transposed weights of an ONNX graph as constants, which quantisers require."""

from typing import Any

import numpy as np


def fold_transposed_weights(program: Any) -> int:
    r"""
    Replaces every `Transpose` of a weight by the transposed weight.

    The exporter folds them, except for weights that several layers share: those of a text encoder that reads both T and
    T_e. A matrix product with them is not quantised, because its right side is not a constant.

    Args:
        program (`onnx_ir.Model`): The model, which is changed in place.

    Returns:
        The number of nodes that were replaced.
    """
    import onnx_ir

    graph = program.graph
    folded: dict[tuple[str, tuple[int, ...]], Any] = {}
    nodes = [node for node in graph if node.op_type == "Transpose" and node.inputs[0].name in graph.initializers]
    for node in nodes:
        weight = node.inputs[0]
        order = tuple(node.attributes["perm"].as_ints())
        if (weight.name, order) not in folded:
            name = f"{weight.name}.transposed.{'.'.join(map(str, order))}"
            turned = np.ascontiguousarray(weight.const_value.numpy().transpose(order))
            tensor = onnx_ir.tensor(turned, name=name)
            folded[weight.name, order] = onnx_ir.Value(
                name=name, shape=onnx_ir.Shape(turned.shape), type=onnx_ir.TensorType(tensor.dtype), const_value=tensor
            )
            graph.register_initializer(folded[weight.name, order])
        node.outputs[0].replace_all_uses_with(folded[weight.name, order])
        graph.remove(node, safe=True)
    for name in {weight for weight, _ in folded}:
        if not graph.initializers[name].uses():
            del graph.initializers[name]
    return len(nodes)

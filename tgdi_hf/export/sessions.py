"""Running one exported graph: the few lines that differ between ONNX Runtime and OpenVINO."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import torch

from ..extras import require
from .manifest import ONNX


class Session(Protocol):
    """A graph that is ready to run."""

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """Computes the outputs by name; inputs that the graph does not have are ignored."""


class OnnxSession:
    r"""
    A graph in ONNX Runtime, on the CPU, with as many threads as torch has.

    Args:
        path: The `.onnx` file.

    Raises:
        ImportError: ONNX Runtime is not installed.
    """

    def __init__(self, path: Path):
        require("onnxruntime", "onnx", "Running an ONNX graph")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.outputs = [one.name for one in self.session.get_outputs()]

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """See `Session`."""
        values = self.session.run(self.outputs, {name: inputs[name].numpy() for name in self.inputs})
        return {name: torch.from_numpy(value) for name, value in zip(self.outputs, values)}


class OpenVINOSession:
    r"""
    A graph in OpenVINO, on the CPU, in single precision, with as many threads as torch has.

    Args:
        path: The `.xml` file.

    Raises:
        ImportError: OpenVINO is not installed.
    """

    def __init__(self, path: Path):
        require("openvino", "openvino", "Running an OpenVINO graph")
        import openvino

        # By default OpenVINO computes in bfloat16 where the CPU can.
        options: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_PRECISION_HINT": "f32",
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
        }
        compiled = openvino.Core().compile_model(path, "CPU", options)
        self.request = compiled.create_infer_request()
        self.inputs = [port.any_name for port in compiled.inputs]
        self.outputs = {port: port.any_name for port in compiled.outputs}

    def __call__(self, inputs: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """See `Session`."""
        values = self.request.infer({name: inputs[name].numpy() for name in self.inputs}, share_inputs=True)
        return {name: torch.from_numpy(values[port]) for port, name in self.outputs.items()}


def open_session(format: str, path: Path) -> Session:
    """Opens a graph with the runtime of its format."""
    return OnnxSession(path) if format == ONNX else OpenVINOSession(path)

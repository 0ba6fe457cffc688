"""Weights as 8-bit integers: the quantizer of each format, and whether the CPU is faster with them."""

import platform
from pathlib import Path
from typing import Any

import torch

from ..extras import require
from .manifest import ONNX

# Instructions that multiply 8-bit integers and add up the products, as /proc/cpuinfo names them on x86 and ARM.
INT8_FLAGS = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
LEAST_FLAGS = ("avx2",)  # without the above, ONNX Runtime's kernels still gain with these


def check_quantization(format: str) -> None:
    """Raises `ImportError` if a package that quantisation requires is not installed."""
    if format != ONNX:
        require("nncf", "openvino", "--int8 with OpenVINO")


def quantize(program: Any, inputs: dict[str, torch.Tensor], format: str) -> Any:
    r"""
    Stores the weights of matrix products as 8-bit integers, one scale per output channel.

    In ONNX, activations are quantised as they occur (dynamic quantisation), which requires no example posts, and
    weights have values of seven bits, so that no CPU saturates. In OpenVINO, weights alone are compressed.

    Args:
        program: The `onnx_ir.Model` or `openvino.Model`.
        inputs: Its example inputs.
        format: `"onnx"` or `"openvino"`.

    Returns:
        The quantised program.
    """
    from transformers import exporters

    quantizer: Any
    if format == ONNX:
        # Seven bits of a weight: without VNNI, the kernels of x86 add two products of eight bits in 16 bits, which
        # saturate. A folder may run on another CPU than the one that exported it.
        dynamic = exporters.OnnxRuntimeDynamicConfig(
            op_types_to_quantize=["MatMul", "Gemm"], per_channel=True, reduce_range=True
        )
        quantizer = exporters.OnnxRuntimeQuantizer(dynamic)
    else:
        import nncf

        weights = exporters.NNCFWeightCompressionConfig(mode=nncf.CompressWeightsMode.INT8_SYM)
        quantizer = exporters.NNCFOpenVINOQuantizer(weights)
    return quantizer.quantize(program, inputs, exporters.ExportFormat(format))


def slow_int8(flags: set[str] | None) -> str | None:
    r"""
    Args:
        flags: The features of the CPU, see `cpu_flags`.

    Returns:
        Why 8-bit integers are not expected to be faster on this CPU; `None` if they are, or if it is not known.
    """
    if flags is None or flags.intersection((*INT8_FLAGS, *LEAST_FLAGS)):
        return None
    return f"has none of the instructions {', '.join((*INT8_FLAGS, *LEAST_FLAGS))}"


def cpu_flags() -> set[str] | None:
    """The features of this machine's CPU by the names of Linux; `None` on other systems."""
    file = Path("/proc/cpuinfo")
    if platform.system() != "Linux" or not file.is_file():
        return None
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in ("flags", "Features"):
            return set(value.split())
    return None

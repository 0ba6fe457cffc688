"""Tensors and devices: moving a tensor next to another one, and deciding whether its values may be read."""

import torch


def on_device_of(tensor: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """Moves `tensor` to the device of `other`: a `device_map` spreads modules, and thus their outputs, over devices."""
    # An unconditional `tensor.to(...)` would write the device into every exported graph.
    return tensor if tensor.device == other.device else tensor.to(other.device)


def can_read_values(*tensors: torch.Tensor) -> bool:
    """
    Whether the values of `tensors` may be validated: not while a graph is compiled or traced, and not on an
    accelerator, where reading a value would synchronise the device.
    """
    if torch.compiler.is_compiling() or torch.jit.is_tracing():
        return False
    return all(tensor.device.type == "cpu" for tensor in tensors)

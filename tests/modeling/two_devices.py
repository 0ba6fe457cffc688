"""Simulates two devices on one: tensors carry a device name, and operations on tensors of both devices fail."""

from contextlib import contextmanager

import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

FIRST, SECOND = torch.device("cpu"), torch.device("cpu:1")


class TwoDevices(TorchFunctionMode):
    """While active, `tensor.device`, `tensor.to` and `device=` know two devices; unmarked tensors are on `FIRST`."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if function == torch.Tensor.device.__get__:
            return place_of(args[0])
        if function is torch.Tensor.to:
            return self.move(*args, **kwargs)
        asked = kwargs.pop("device", None)
        # As in PyTorch, a scalar may be on another device. Unlike in PyTorch, indices may not.
        places = {place_of(tensor) for tensor in tensors if tensor.dim()}
        if len(places) > 1:
            raise RuntimeError(f"{function.__name__} got tensors on {' and '.join(sorted(map(str, places)))}")
        found = function(*args, **kwargs)
        place = torch.device(asked) if asked is not None else next(iter(places), FIRST)
        return tree_map(lambda leaf: placed(leaf, place) if isinstance(leaf, torch.Tensor) else leaf, found)

    def move(self, tensor, *args, **kwargs):
        """The three forms of `tensor.to`: with a device, a dtype, or another tensor."""
        place, rest = place_of(tensor), []
        kwargs.pop("non_blocking", None)
        for value in (*args, *kwargs.values()):
            if isinstance(value, torch.Tensor):
                place = place_of(value)
                rest.append(value.dtype)
            elif isinstance(value, (torch.device, str)):
                place = torch.device(value)
            elif isinstance(value, torch.dtype):
                rest.append(value)
        moved = tensor.to(*rest) if rest else tensor
        return placed(moved.view_as(moved), place)  # a new object, since `tensor` itself must not move


def place_of(tensor: torch.Tensor) -> torch.device:
    return getattr(tensor, "place", FIRST)


def placed(tensor: torch.Tensor, place: torch.device) -> torch.Tensor:
    tensor.place = place  # type: ignore[attr-defined]  # only this simulation reads it
    return tensor


@contextmanager
def spread(model: nn.Module, second: list[str]):
    r"""
    Runs `model` on two devices, with the hooks that accelerate attaches for a `device_map`.

    Args:
        model (`nn.Module`): A model on the CPU.
        second (`list[str]`): Names of the modules on the second device, submodules included; all others are on the
            first.
    """
    for name, module in model.named_modules():
        inside = any(name == one or name.startswith(f"{one}.") for one in second)
        place = SECOND if inside else FIRST
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            placed(tensor, place)
        # As `dispatch_model` does: a hook for the model, and one for every module with weights that is not split.
        divided = any(one.startswith(f"{name}.") for one in second)
        if not name or (module.state_dict() and not divided):
            hook = AlignDevicesHook(execution_device=None, io_same_device=not name)
            add_hook_to_module(module, hook)
            hook.execution_device = place  # set afterwards, since attaching the hook would move the weights
    with TwoDevices():
        yield

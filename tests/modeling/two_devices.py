"""Two devices on a machine that has one: tensors carry the name of a device, and may not meet one of another."""

from contextlib import contextmanager

import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from torch import nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

FIRST, SECOND = torch.device("cpu"), torch.device("cpu:1")


class TwoDevices(TorchFunctionMode):
    """While it is active, `tensor.device`, `tensor.to` and `device=` know two devices; other tensors are on `FIRST`."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        kwargs = dict(kwargs or {})
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)]
        if function == torch.Tensor.device.__get__:
            return place_of(args[0])
        if function is torch.Tensor.to:
            return self.move(*args, **kwargs)
        asked = kwargs.pop("device", None)
        # A number on one device may meet tensors on another, as it may in PyTorch; indices may not here.
        places = {place_of(tensor) for tensor in tensors if tensor.dim()}
        if len(places) > 1:
            raise RuntimeError(f"{function.__name__} got tensors on {' and '.join(sorted(map(str, places)))}")
        found = function(*args, **kwargs)
        place = torch.device(asked) if asked is not None else next(iter(places), FIRST)
        return tree_map(lambda leaf: placed(leaf, place) if isinstance(leaf, torch.Tensor) else leaf, found)

    def move(self, tensor, *args, **kwargs):
        """`tensor.to` in its three forms: a device, a type, another tensor."""
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
        return placed(moved.view_as(moved), place)  # another object: `tensor` itself stays where it is


def place_of(tensor: torch.Tensor) -> torch.device:
    return getattr(tensor, "place", FIRST)


def placed(tensor: torch.Tensor, place: torch.device) -> torch.Tensor:
    tensor.place = place
    return tensor


@contextmanager
def spread(model: nn.Module, second: list[str]):
    r"""
    Runs `model` on two devices, with the hooks that accelerate attaches under a `device_map`.

    Args:
        model (`nn.Module`): On the CPU.
        second (`list[str]`): Names of the modules on the second device, with all that is in them; the others are on
            the first.
    """
    for name, module in model.named_modules():
        inside = any(name == one or name.startswith(f"{one}.") for one in second)
        place = SECOND if inside else FIRST
        for tensor in (*module.parameters(recurse=False), *module.buffers(recurse=False)):
            placed(tensor, place)
        # As `dispatch_model` has it: a hook for all with weights, but for what itself is spread, and for the model.
        divided = any(one.startswith(f"{name}.") for one in second)
        if not name or (module.state_dict() and not divided):
            hook = AlignDevicesHook(execution_device=None, io_same_device=not name)
            add_hook_to_module(module, hook)
            hook.execution_device = place  # not before: the hook would move the weights in earnest
    with TwoDevices():
        yield

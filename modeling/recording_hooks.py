"""
The hooks with which transformers records hidden states and attentions of an encoder.

transformers installs them on the first forward pass that requests an output, and they are closures: `torch.compile`
cannot trace their installation, and pickle cannot store them.
"""

import copy

from torch import nn
from transformers import PreTrainedModel
from transformers.utils.output_capturing import _CAN_RECORD_REGISTRY, maybe_install_capturing_hooks


def install_recording_hooks(encoder: PreTrainedModel) -> None:
    """Installs the hooks ahead of the first forward pass, since it takes a lock, which `torch.compile` cannot trace."""
    for module in encoder.modules():
        if isinstance(module, PreTrainedModel):
            maybe_install_capturing_hooks(module)


def register_recorders(model: PreTrainedModel) -> None:
    r"""
    Registers with transformers which outputs the encoders of `model` can record. transformers does so when it builds a
    model, but not when it unpickles one: hidden states would be missing in a process that has built no such model.
    """
    for module in model.modules():
        if isinstance(module, PreTrainedModel):
            _CAN_RECORD_REGISTRY[module] = module._can_record_outputs


def without_recording_hooks(module: nn.Module) -> nn.Module:
    """Returns a copy of `module` that shares its weights but lacks the recording hooks, and thus can be pickled."""
    bare = object.__new__(type(module))
    bare.__dict__ = copy.copy(module.__dict__)
    bare.__dict__.pop("_output_capturing_hooks_installed", None)
    bare._forward_hooks = type(module._forward_hooks)(
        (key, hook)
        for key, hook in module._forward_hooks.items()
        if getattr(hook, "__module__", None) != maybe_install_capturing_hooks.__module__
    )
    bare._modules = {name: child and without_recording_hooks(child) for name, child in module._modules.items()}
    return bare

"""A blank image for batches without any, where processes train together and each has to touch every weight."""

import torch
from torch import distributed, nn


def trains_with_other_processes(module: nn.Module) -> bool:
    r"""
    Whether a backward pass of `module` is one of several processes' that exchange gradients.

    `DistributedDataParallel` waits until every process has a gradient of every weight, forever if one of them has a
    batch without images and so none for the visual modules. Sharded training likewise gathers the weights of a module
    in all processes at once. (`find_unused_parameters=True` mends the former alone, and `Trainer` turns it off under
    activation checkpointing.) A process of its own has nobody to wait for: weights that a batch does not reach keep a
    gradient of `None` there, so that neither weight decay nor momentum moves them.
    """
    return (
        module.training
        and torch.is_grad_enabled()
        and distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )


def blank_image(vision_config, device: torch.device) -> torch.Tensor:
    r"""
    Args:
        vision_config (`PreTrainedConfig`): Of the vision encoder.
        device (`torch.device`): Where it is.

    Returns:
        `torch.Tensor`: Zeros, `(1, channels, H, W)`.
    """
    size = getattr(vision_config, "image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    return torch.zeros(1, getattr(vision_config, "num_channels", 3), height, width, device=device)

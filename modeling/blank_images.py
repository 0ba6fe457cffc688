"""A blank image for batches without images, since in distributed training every process must reach every weight."""

import torch
from torch import distributed, nn


def trains_with_other_processes(module: nn.Module) -> bool:
    r"""
    Whether `module` is training in several processes that exchange gradients.

    `DistributedDataParallel` waits until every process has a gradient for every weight. It would wait forever for a
    process whose batch has no images and which therefore has no gradients for the visual modules. Sharded training
    likewise gathers the weights of a module in all processes at once. (`find_unused_parameters=True` solves the former
    only, and `Trainer` turns it off under activation checkpointing.) In a single process, weights that a batch does not
    reach keep a gradient of `None`, so that neither weight decay nor momentum changes them.
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
        vision_config (`PreTrainedConfig`): Configuration of the vision encoder.
        device (`torch.device`): Device of the vision encoder.

    Returns:
        `torch.Tensor`: Zeros, `(1, channels, H, W)`.
    """
    size = getattr(vision_config, "image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    return torch.zeros(1, getattr(vision_config, "num_channels", 3), height, width, device=device)

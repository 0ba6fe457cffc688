"""A blank image for batches without images, since in distributed training every process must reach every weight."""

from typing import Any

import torch
from torch import distributed, nn

from .region_weights import REGIONS
from .tgdi_inputs import Images


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


def blank_images(model: Any, batch_size: int) -> Images:
    r"""
    One image that fills no slot: every weight of the visual modules gets a gradient, which is zero.

    Args:
        model (`TGDIModel`): A model with a vision encoder.
        batch_size (`int`): The number of posts.

    Returns:
        `Images`.
    """
    config = model.config
    regions = config.object_features == REGIONS
    if any(parameter.requires_grad for parameter in model.vision_tower.parameters()):
        features = model.get_vision_features(blank_image(config.vision_config, model.device))
    else:  # a frozen encoder exchanges no gradients
        tokens = config.num_vision_states * config.num_patches if regions else config.num_pooled_tokens + 1
        features = torch.zeros((1, tokens, config.vision_config.hidden_size), dtype=model.dtype, device=model.device)
    index = torch.zeros(batch_size, 1, dtype=torch.long, device=model.device)
    if regions:
        return Images.from_regions(features, index, index.bool(), features.new_zeros(batch_size, 0, 4), config)
    return Images.from_features(features, index, index.bool(), config)

"""The pipeline of a checkpoint, on a device."""

from typing import Any

import torch
import transformers

from ..checkpoints import check_checkpoint, explain_hub_errors
from ..processing.pipeline_tgdi import TASK, MultimodalRelationExtractionPipeline


def load_checkpoint(
    checkpoint: str,
    bf16: bool = False,
    negative: str | None = "auto",
    revision: str | None = None,
    device: str | int | None = None,
    **options: Any,
) -> MultimodalRelationExtractionPipeline:
    r"""
    Loads the pipeline of a checkpoint.

    Args:
        checkpoint: Folder of a fine-tuned model, or its name on the Hub.
        bf16: Load the weights in bfloat16 instead of float32.
        negative: See `negative_label` of the pipeline.
        revision: Branch, tag or commit on the Hub.
        device: Name or number of a device; by default the accelerator if one is available, otherwise the CPU.
        options: Other options of the pipeline.

    Raises:
        ValueError: There is no such checkpoint, or no such device.
    """
    check_checkpoint(checkpoint, revision)
    if device is None:
        place = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    else:
        place = _device(device)
    with explain_hub_errors(checkpoint):
        return transformers.pipeline(  # type: ignore[call-overload]  # the stubs list the tasks of transformers only
            TASK,
            model=checkpoint,
            revision=revision,
            dtype=torch.bfloat16 if bf16 else torch.float32,
            device=place,
            negative_label=negative,
            **options,
        )


def _device(device: str | int) -> torch.device:
    """The device of a name or number, if a tensor can be created on it."""
    try:
        place = torch.device(device)
        torch.empty(1, device=place)
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # AssertionError: torch without CUDA
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        found = "the CPU only" if accelerator is None else f"the CPU and {accelerator.type}"
        reason = str(error).splitlines()[0]
        raise ValueError(f"`device` is {device!r}, which cannot be used ({reason}); available: {found}.") from None
    return place

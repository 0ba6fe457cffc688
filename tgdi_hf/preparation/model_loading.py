"""Loading of a pretrained model for images, such as a captioner or a detector, with its processor."""

from pathlib import Path
from typing import Any

import torch
from transformers import AutoProcessor, PreTrainedModel, ProcessorMixin

from .checkpoint_identity import resolve_checkpoint


def load_with_processor(
    auto_class: Any,
    name_or_path: str | Path,
    revision: str | None,
    dtype: torch.dtype | str,
    device: torch.device | str | None,
    hub: dict[str, Any] | None,
    **model_options: Any,
) -> tuple[PreTrainedModel, ProcessorMixin, str]:
    r"""
    Loads a model for inference, and its processor.

    Args:
        auto_class: For example `AutoModelForImageTextToText`.
        name_or_path (`str`): Model on the Hub or folder.
        revision (`str`, *optional*): Branch, tag or commit on the Hub.
        dtype (`torch.dtype` or `str`): Data type of the weights; `"auto"` keeps that of the saved weights.
        device (*optional*): Device to run on; by default the accelerator, if one is available. Ignored with a
            `device_map`, which places the parts of the model itself.
        hub (`dict`, *optional*): `token`, `cache_dir`, `local_files_only`.
        model_options: Further arguments of the model's `from_pretrained` (`device_map`, `use_safetensors`, ...).

    Returns:
        The model, its processor, and the identity of the checkpoint, see `ResolvedCheckpoint`.
    """
    checkpoint = resolve_checkpoint(name_or_path, revision, **(hub or {}))
    options = {"trust_remote_code": False, **checkpoint.options}
    model = auto_class.from_pretrained(name_or_path, dtype=dtype, **options, **model_options)
    model.config._name_or_path = str(name_or_path)
    # The PIL backend gives the same pixels whether or not torchvision is installed.
    processor = AutoProcessor.from_pretrained(name_or_path, backend="pil", **options)
    if model_options.get("device_map") is not None:
        return model, processor, checkpoint.identity
    device = device or torch.accelerator.current_accelerator(check_available=True) or "cpu"
    return model.to(device), processor, checkpoint.identity

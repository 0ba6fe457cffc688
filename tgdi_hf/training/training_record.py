"""How a model was trained, in `training.json`: what the model card reports besides the settings in `run.json`."""

import json
import platform
from collections.abc import Iterable
from dataclasses import fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainingArguments

# Arguments that change the weights. The others concern files, logs and memory, and may contain paths and tokens.
HYPERPARAMETERS = (
    *("learning_rate", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "num_train_epochs", "max_steps"),
    *("per_device_train_batch_size", "gradient_accumulation_steps", "optim", "optim_args"),
    *("adam_beta1", "adam_beta2", "adam_epsilon", "weight_decay", "max_grad_norm", "label_smoothing_factor"),
    *(
        "neftune_noise_alpha",
        "train_sampling_strategy",
        "dataloader_drop_last",
        "bf16",
        "fp16",
        "seed",
        "data_seed",
        "full_determinism",
    ),
)
ALWAYS = ("learning_rate", "num_train_epochs", "per_device_train_batch_size", "seed")
LIBRARIES = ("tgdi_hf", "transformers", "torch", "datasets", "accelerate", "tokenizers")


def record_training(trainer: Trainer, folder: str | Path, seconds: float | None) -> None:
    r"""
    Writes `training.json`: the hyperparameters other than the defaults of `TrainingArguments`, the device, the number
    of processes, the training time, and the versions of the libraries.

    Args:
        trainer: The trainer after training.
        folder: The output folder.
        seconds: The training time; `None` if it is unknown, as that of a resumed run.
    """
    if not trainer.is_world_process_zero():
        return
    device = trainer.args.device
    record = {
        "hyperparameters": changed_arguments(trainer.args),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else device.type,
        "processes": trainer.args.world_size,
        **({} if seconds is None else {"seconds": seconds}),
        "versions": recorded_versions(LIBRARIES),
    }
    Path(folder, "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def changed_arguments(arguments: TrainingArguments) -> dict[str, Any]:
    """The hyperparameters whose values are not the defaults, and the most important ones."""
    defaults = {field.name: field.default for field in fields(TrainingArguments)}
    plain = arguments.to_dict()  # enums as their values
    return {
        name: plain[name]
        for name in HYPERPARAMETERS
        if name in ALWAYS or (name in plain and plain[name] != getattr(defaults[name], "value", defaults[name]))
    }


def recorded_versions(names: Iterable[str]) -> dict[str, str]:
    """Versions of Python and of packages; those that are not installed are omitted."""
    versions = {"python": platform.python_version()}
    for name in names:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # imported from a checkout, not installed
            continue
    return versions

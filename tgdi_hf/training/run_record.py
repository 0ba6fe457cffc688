"""The record of a run in its output folder: its settings, in `run.json`, and its last checkpoint."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from datasets import Dataset
from transformers import PreTrainedConfig

from ..data.dataset_columns import undecoded
from ..data.image_identity import digest_of
from ..modeling.configuration_tgdi import TGDIConfig
from ..processing.processing_tgdi import TGDIProcessor

# Arguments that may change when a run is resumed, since they do not affect the weights: logs, workers, files, uploads.
# They are not recorded; one of them is a token.
RESUMABLE_ARGUMENTS = (
    *("report_to", "run_name", "project", "trackio_space_id", "trackio_bucket_id", "trackio_static_space_id"),
    *("disable_tqdm", "log_level", "log_level_replica", "logging_strategy", "logging_steps", "logging_first_step"),
    *("dataloader_num_workers", "dataloader_pin_memory", "dataloader_persistent_workers", "dataloader_prefetch_factor"),
    *("per_device_eval_batch_size", "eval_accumulation_steps", "save_total_limit"),
    *("push_to_hub", "hub_token", "hub_private_repo", "hub_model_id", "hub_strategy", "hub_always_push"),
    "hub_revision",
)
# Settings that every run has, but that older versions did not record.
_RECORDED_LATER = ("validation_digest",)
# Fields of TGDI's configuration and options of its processor, which have defaults of this package.
_CONFIG_FIELDS = {field.name for field in fields(TGDIConfig)} - {
    *(field.name for field in fields(PreTrainedConfig)),
    *("text_config", "vision_config"),
    *(
        "tail_first_bias",
        "gate_is_probability",
        "gate_calibration_error",
        "label_log_priors",
    ),  # these follow from the training rows
}
_PROCESSOR_OPTIONS = (
    *("num_objects", "use_caption", "use_image", "max_length"),
    *("max_image_pixels", "image_resize", "object_resize", "object_features"),
)
# Columns that a model reads.
MODEL_COLUMNS = ("text", "words", "head", "tail", "caption", "image", "objects", "label")


def claim(folder: str | Path, identity: Mapping[str, Any]) -> None:
    r"""
    Writes the identity of a run to `run.json` in its output folder, before the run writes checkpoints there.

    Args:
        folder: The output folder.
        identity: All settings that distinguish this run from others, as plain JSON.

    Raises:
        ValueError: The folder has checkpoints of a run with another identity.
    """
    file, settings = Path(folder, "run.json"), json.loads(json.dumps(identity))
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    differs = [*settings] if found is None else different_settings(settings, found)
    if differs and last_checkpoint(folder) is not None:
        names = [_with_options(name, settings.get(name), (found or {}).get(name)) for name in differs]
        raise ValueError(
            f"{folder} has checkpoints of a run with another {' and '.join(names)}. Resume that run with its own "
            "settings, train in another folder, or delete the checkpoints."
        )
    if found != settings:
        file.parent.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.{os.getpid()}")  # other processes of this run may be reading the file
        part.write_text(json.dumps(settings, indent=2) + "\n", encoding="utf-8")
        part.replace(file)


def different_settings(settings: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """The names of the settings in which a run differs from a recorded one, perhaps of an older version."""
    ignored = {*RESUMABLE_ARGUMENTS, *(name for name in _RECORDED_LATER if name not in found)}
    # A setting that an older version did not record does not differ if it is not set now.
    return [name for name in {**settings, **found} if name not in ignored and found.get(name) != settings.get(name)]


def _with_options(name: str, one: Any, other: Any) -> str:
    """The name of a setting, with the options in it that differ."""
    if not (isinstance(one, Mapping) and isinstance(other, Mapping)):
        return name
    options = [key for key in {**one, **other} if (key in one, one.get(key)) != (key in other, other.get(key))]
    return f"{name} ({', '.join(options)})"


def check_same_defaults(checkpoint: str | Path, config: TGDIConfig, processor: TGDIProcessor) -> None:
    r"""
    Refuses to resume a run whose settings are the same, but which started when this package had other defaults.

    Args:
        checkpoint: The checkpoint to resume from.
        config: The configuration of the new model.
        processor: Its processor.

    Raises:
        ValueError: A field of the configuration or an option of the processor differs.
    """
    compared = (
        (TGDIConfig.from_pretrained(checkpoint), config, sorted(_CONFIG_FIELDS)),
        (TGDIProcessor.from_pretrained(checkpoint), processor, _PROCESSOR_OPTIONS),
    )
    differences = [
        f"{name}={getattr(before, name)!r}, now {getattr(now, name)!r}"
        for before, now, names in compared
        for name in names
        if getattr(before, name) != getattr(now, name)
    ]
    if differences:
        raise ValueError(
            f"{checkpoint} was trained with other defaults: {'; '.join(differences)}. Train in another folder, or "
            "delete the checkpoints."
        )


def last_checkpoint(folder: str | Path) -> str | None:
    r"""
    The newest complete checkpoint that `Trainer` left in a folder, or `None`.

    A run that is killed while it saves leaves a checkpoint without the trainer's state, which is written last. Such a
    checkpoint cannot be resumed from; the one before it can.
    """
    complete = []
    for state in Path(folder).glob("checkpoint-*/trainer_state.json"):
        try:
            complete.append((json.loads(state.read_text(encoding="utf-8"))["global_step"], str(state.parent)))
        except json.JSONDecodeError:  # killed while it wrote the state
            continue
    return max(complete)[1] if complete else None


def control_of(folder: str | Path) -> str | None:
    """A description of the control that the model in a folder was trained under, if `run.json` records one."""
    file = Path(folder, "run.json")
    settings = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if settings.get("control") is None:
        return None
    return f"the control {settings['control']}, on {100 * settings['share']:g} % of the rows that it can change"


def digest_of_rows(dataset: Dataset) -> str:
    """A digest of the columns that a model reads. Images count by content or, if stored as paths, by file name."""

    def named(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        return Path(part["path"]).name if part.get("bytes") is None else digest_of(part["bytes"])

    digest = hashlib.sha256()
    for row in undecoded(dataset).select_columns([name for name in MODEL_COLUMNS if name in dataset.column_names]):
        objects = row.get("objects")
        parts = {"image": named(row.get("image")), "objects": objects and [named(part) for part in objects]}
        digest.update(json.dumps({**row, **parts}, ensure_ascii=False).encode())
    return digest.hexdigest()[:32]

"""The names in `config.json` of the classes that load a checkpoint, and of the files that define them."""

from os import PathLike
from pathlib import Path
from typing import Any

from huggingface_hub.utils import HFValidationError, validate_repo_id

TASK = "multimodal-relation-extraction"
AUTO_MAP = {
    "AutoConfig": "configuration_tgdi.TGDIConfig",
    "AutoModel": "modeling_tgdi.TGDIModel",
    "AutoModelForSequenceClassification": "modeling_tgdi.TGDIForRelationExtraction",
    "AutoProcessor": "processing_tgdi.TGDIProcessor",
}
PIPELINE = {
    "impl": "pipeline_tgdi.MultimodalRelationExtractionPipeline",
    "pt": ["AutoModelForSequenceClassification"],
    "type": "multimodal",
}


class CustomPipelines(dict):
    """`custom_pipelines` of a configuration that runs as remote code, where `transformers.pipeline` finds the task."""

    def __getitem__(self, task: str) -> dict[str, Any]:
        # transformers replaces the names in the entry by classes, which cannot be written to config.json.
        return dict(super().__getitem__(task))


class RegisteredPipelines(CustomPipelines):
    """
    `custom_pipelines` where the package is installed: the task can be inferred (`pipeline(model=...)`), but resolves to
    the registered class, which does not require `trust_remote_code`.
    """

    def __contains__(self, task: object) -> bool:
        return task != TASK and super().__contains__(task)


def custom_pipelines(remote: bool, found: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """
    Returns the `custom_pipelines` of a configuration.

    Args:
        remote (`bool`): Whether the configuration runs as remote code.
        found (`dict`, *optional*): The pipelines of a checkpoint; those of other tasks are kept.
    """
    return (CustomPipelines if remote else RegisteredPipelines)({**(found or {}), TASK: dict(PIPELINE)})


def auto_map(found: dict[str, str] | None, folder: str | PathLike) -> dict[str, str]:
    """
    Returns the `auto_map` of a checkpoint.

    Args:
        found (`dict[str, str]`, *optional*): The `auto_map` so far. Entries whose file is in `folder` are kept (a
            subclass of a TGDI class). References to other repositories (`"user/name--module.Class"`), whose code would
            be loaded, are dropped.
        folder (`str` or `PathLike`): The folder of the checkpoint.
    """
    own = {name: value for name, value in (found or {}).items() if Path(folder, f"{value.split('.')[0]}.py").is_file()}
    return AUTO_MAP | own


def is_hub_name(name: str | None) -> bool:
    """Whether `name` is a valid name of a model on the Hub and not a local path."""
    if not name or Path(name).exists():
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True

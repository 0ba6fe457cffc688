"""What `config.json` names: the classes that load a checkpoint, and the files beside it that define them."""

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
    """`custom_pipelines` of a configuration that runs as remote code: `transformers.pipeline` finds the task here."""

    def __getitem__(self, task: str) -> dict[str, Any]:
        # transformers replaces the names in what it gets by classes, which config.json could not take.
        return dict(super().__getitem__(task))


class RegisteredPipelines(CustomPipelines):
    """
    `custom_pipelines` where the package is installed: the task can be inferred (`pipeline(model=...)`), but its class
    is the registered one, which needs no `trust_remote_code`.
    """

    def __contains__(self, task: object) -> bool:
        return task != TASK and super().__contains__(task)


def custom_pipelines(remote: bool, found: dict[str, Any] | None = None) -> dict[str, dict[str, Any]]:
    """
    The pipeline of a checkpoint, for a configuration that runs as remote code or one that is installed, beside those
    of other tasks in `found`.
    """
    return (CustomPipelines if remote else RegisteredPipelines)({**(found or {}), TASK: dict(PIPELINE)})


def auto_map(found: dict[str, str] | None, folder: str | PathLike) -> dict[str, str]:
    """
    The `auto_map` of a checkpoint in `folder`. Entries of `found` stay if their file lies there (a subclass of a TGDI
    class); a reference to another repository (`"user/name--module.Class"`) would load that repository's code.
    """
    own = {name: value for name, value in (found or {}).items() if Path(folder, f"{value.split('.')[0]}.py").is_file()}
    return AUTO_MAP | own


def is_hub_name(name: str | None) -> bool:
    """Whether a model may be called so on the Hub, and is no folder here."""
    if not name or Path(name).exists():
        return False
    try:
        validate_repo_id(name)
    except HFValidationError:
        return False
    return True

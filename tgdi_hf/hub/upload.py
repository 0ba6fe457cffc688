"""Upload of a model with everything needed to run it, in one commit."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, EvalResultEntry, HfApi, ModelCard
from transformers import PreTrainedModel

from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from ..processing.processing_tgdi import TGDIProcessor
from .eval_results import FOLDER, write_eval_result
from .handler_requirements import handler_requirements
from .model_card import model_card

# Formats that can execute code when they are loaded.
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".msgpack")


def save_for_hub(
    folder: str | Path,
    model: PreTrainedModel,
    processor: TGDIProcessor,
    card: ModelCard,
    handler: bool = False,
    eval_result: EvalResultEntry | None = None,
) -> Path:
    r"""
    Writes the files of a model repository: weights as safetensors, processor, code of model, processor and pipeline,
    and the model card.

    Args:
        folder: A new or empty folder.
        model, processor: The model and its processor.
        card: The model card, see `model_card`.
        handler: Add `handler.py` for Inference Endpoints, and `requirements.txt` with the packages that it requires.
        eval_result: The score for the leaderboard of a dataset, see `eval_result_entry`.

    Returns:
        The folder. The training modes of the model's modules are left unchanged.

    Raises:
        ValueError: The folder is not empty.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; its files would be uploaded to the Hub as well. Name a new folder.")
    training_modes = [(module, module.training) for module in model.modules()]
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, device=model.device)
    pipe.save_pretrained(folder)
    for module, mode in training_modes:  # the pipeline switched all modules to evaluation mode
        module.training = mode
    if handler:
        shutil.copyfile(Path(__file__).with_name("handler.py"), folder / "handler.py")
        requirements = handler_requirements()
        if requirements is not None:
            (folder / "requirements.txt").write_text(requirements, encoding="utf-8")
    if eval_result is not None:
        write_eval_result(folder, eval_result)
    card.save(folder / "README.md")
    return folder


def push_to_hub(
    repo_id: str,
    model: PreTrainedModel,
    processor: TGDIProcessor,
    card: ModelCard | None = None,
    *,
    handler: bool = False,
    eval_result: EvalResultEntry | None = None,
    **options: Any,
) -> CommitInfo:
    r"""
    Uploads a model with its processor, pipeline, code and model card.

    A single commit never leaves the repository incomplete, and preserves the card, which separate uploads of models and
    pipelines overwrite.

    Args:
        repo_id: `"user/name"`; the repository is created if it does not exist.
        model, processor: The model and its processor.
        card: The model card, by default `model_card(model, repo_id)`.
        handler: See `save_for_hub`.
        eval_result: See `save_for_hub`.
        options: Arguments of `push_folder`: `private`, `revision`, `create_pr`, `commit_message`, `token`.

    Returns:
        `CommitInfo`, with `commit_url` and, with `create_pr`, `pr_url`.

    Raises:
        ValueError: The Hub, which validates the metadata of the card before the upload, rejects them; or see
            `push_folder`.
    """
    card = model_card(model, repo_id) if card is None else card
    with TemporaryDirectory() as folder:
        save_for_hub(folder, model, processor, card, handler, eval_result)
        return push_folder(folder, repo_id, **options)


def push_folder(
    folder: str | Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    commit_message: str = "Upload TGDI",
    token: str | None = None,
) -> CommitInfo:
    r"""
    Uploads a folder written by `save_for_hub` in one commit. Of hidden files, only results
    (`.eval_results/*.yaml`) are uploaded.

    Args:
        folder: The folder to upload.
        repo_id: `"user/name"`; the repository is created if it does not exist.
        private, revision, create_pr, commit_message, token: See `huggingface_hub.HfApi.create_commit` and
            `create_repo`. A branch is created if it does not exist; `"refs/pr/5"` adds to a pull request.

    Raises:
        ValueError: The folder has no weights, or files in a format that can execute code; a pull request against a
            branch; or a private upload to an existing public repository.
    """
    folder = Path(folder)
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    paths = [path for path in paths if _is_result(path) or not any(part.startswith(".") for part in path.parts)]
    pickles = [path.as_posix() for path in paths if path.suffix.lower() in PICKLES]
    if pickles:
        raise ValueError(
            f"{folder} has {', '.join(pickles)}, which can execute code when loaded. Convert the weights to "
            "safetensors, or delete the files."
        )
    if not any(path.suffix == ".safetensors" for path in paths):
        raise ValueError(f"{folder} has no weights: expected model.safetensors.")
    if create_pr and revision is not None:
        raise ValueError(
            f"Found both `create_pr` and `revision={revision!r}`; a new pull request is always against main. Pass only "
            "one of them."
        )
    api = HfApi(token=token)
    api.create_repo(repo_id, private=private, exist_ok=True)
    # `create_repo` does not change the visibility of an existing repository, and a public upload cannot be undone.
    if private and not api.model_info(repo_id).private:
        raise ValueError(
            f"{repo_id} already exists and is public, so nothing was uploaded. Make it private in its settings on the "
            "Hub, or name a new repository."
        )
    if revision is not None and not revision.startswith("refs/"):
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    # Not `upload_folder`: with hf_xet installed it may split a folder into several commits.
    operations = [CommitOperationAdd(path.as_posix(), folder / path) for path in paths]
    return api.create_commit(repo_id, operations, commit_message=commit_message, revision=revision, create_pr=create_pr)


def _is_result(path: Path) -> bool:
    return path.parent == Path(FOLDER) and path.suffix == ".yaml"

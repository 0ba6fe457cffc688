"""Sharing a model on the Hub: everything that it takes to run it, in one commit."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi, ModelCard
from transformers import PreTrainedModel

from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from ..processing.processing_tgdi import TGDIProcessor
from .model_card import model_card

# Formats that can run code when they are loaded.
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".msgpack")


def save_for_hub(
    folder: str | Path,
    model: PreTrainedModel,
    processor: TGDIProcessor,
    card: ModelCard,
    handler: bool = False,
) -> Path:
    r"""
    Writes all that the Hub needs: weights as safetensors, processor, the code of model, processor and pipeline, and the
    card.

    Args:
        folder: A new or empty folder.
        model, processor: What to save.
        card: See `model_card`.
        handler: Add `handler.py` for Inference Endpoints.

    Returns:
        The folder. The model comes out as it went in; a training goes on as before.

    Raises:
        ValueError: There is something in the folder.
    """
    folder = Path(folder)
    if folder.exists() and any(folder.iterdir()):
        raise ValueError(f"{folder} is not empty; what is in it would go to the Hub as well. Name a new folder.")
    training = [(module, module.training) for module in model.modules()]
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, device=model.device)
    pipe.save_pretrained(folder)
    for module, mode in training:  # the pipeline has put all of it into evaluation mode
        module.training = mode
    if handler:
        shutil.copyfile(Path(__file__).with_name("handler.py"), folder / "handler.py")
    card.save(folder / "README.md")
    return folder


def push_to_hub(
    repo_id: str,
    model: PreTrainedModel,
    processor: TGDIProcessor,
    card: ModelCard | None = None,
    *,
    handler: bool = False,
    **options: Any,
) -> CommitInfo:
    r"""
    Uploads a model with its processor, pipeline, code and card.

    It is one commit: nothing is there half, and nothing overwrites the card, as single uploads of models and pipelines
    do.

    Args:
        repo_id: `"user/name"`; the repository is made if it is not there.
        model, processor: What to share.
        card: By default `model_card(model, repo_id)`.
        handler: Add `handler.py` for Inference Endpoints.
        options: Of `push_folder`: `private`, `revision`, `create_pr`, `commit_message`, `token`.

    Returns:
        `CommitInfo`, with `commit_url` and, with `create_pr`, `pr_url`.

    Raises:
        ValueError: The Hub, which checks the card's metadata before anything goes up, does not accept them; or as in
            `push_folder`.
    """
    card = model_card(model, repo_id) if card is None else card
    with TemporaryDirectory() as folder:
        save_for_hub(folder, model, processor, card, handler)
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
    Uploads what `save_for_hub` wrote, in one commit. Hidden files stay here.

    Args:
        folder: What to upload.
        repo_id: `"user/name"`; the repository is made if it is not there.
        private, revision, create_pr, commit_message, token: As everywhere in huggingface_hub. A branch is made if it is
            not there; `"refs/pr/5"` adds to a pull request.

    Raises:
        ValueError: There are no weights, or some in a format that can run code; a pull request is to go to a branch; or
            the repository, which was to be private, is public.
    """
    folder = Path(folder)
    paths = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    paths = [path for path in paths if not any(part.startswith(".") for part in path.parts)]
    pickles = [path.as_posix() for path in paths if path.suffix.lower() in PICKLES]
    if pickles:
        raise ValueError(f"{folder} has {', '.join(pickles)}, which can run code when loaded; only safetensors go up.")
    if not any(path.suffix == ".safetensors" for path in paths):
        raise ValueError(f"{folder} has no weights: expected model.safetensors.")
    if create_pr and revision is not None:
        raise ValueError(
            f"`create_pr` and `revision={revision!r}` were given; a new pull request is always against main. Leave one "
            "of them out."
        )
    api = HfApi(token=token)
    api.create_repo(repo_id, private=private, exist_ok=True)
    # Creating what is there changes nothing, and what has been public once cannot be taken back.
    if private and not api.model_info(repo_id).private:
        raise ValueError(
            f"{repo_id} is there already and is public, so nothing was uploaded. Make it private in its settings on "
            "the Hub, or name a new repository."
        )
    if revision is not None and not revision.startswith("refs/"):
        api.create_branch(repo_id, branch=revision, exist_ok=True)
    # Not `upload_folder`: where hf_xet is installed, it may make several commits of a folder.
    operations = [CommitOperationAdd(path.as_posix(), folder / path) for path in paths]
    return api.create_commit(repo_id, operations, commit_message=commit_message, revision=revision, create_pr=create_pr)

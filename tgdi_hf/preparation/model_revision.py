"""Loading a model, and telling which weights exactly it has: what is computed with it is kept under that name."""

import hashlib
from pathlib import Path

import torch
from huggingface_hub import ResolvedRevision
from transformers import AutoProcessor
from transformers.utils.hub import resolve_revision

from ..checkpoints import check_revision

CHUNK = 1 << 24


def load_with_processor(
    auto_class,
    name_or_path: str,
    revision: str | None,
    dtype: torch.dtype | str,
    device: torch.device | str | None,
    hub: dict | None,
):
    r"""
    Loads a model for inference, with its processor.

    Args:
        auto_class: Such as `AutoModelForImageTextToText`.
        name_or_path (`str`): Model on the Hub or folder.
        revision (`str`, *optional*): Branch, tag or commit on the Hub.
        dtype (`torch.dtype` or `str`): Of the weights; `"auto"`: as they are saved.
        device (*optional*): Where to run; the accelerator if there is one.
        hub (`dict`, *optional*): `token`, `cache_dir`, `local_files_only`.

    Returns:
        The model, its processor, and the name of the revision in records.
    """
    to_load, recorded = model_revision(name_or_path, revision, **(hub or {}))
    options = {"revision": to_load, "trust_remote_code": False, **(hub or {})}
    model = auto_class.from_pretrained(name_or_path, dtype=dtype, **options)
    model.config._name_or_path = str(name_or_path)
    # The PIL backend gives the same pixels whether or not torchvision is installed.
    processor = AutoProcessor.from_pretrained(name_or_path, backend="pil", **options)
    return model.to(device or torch.accelerator.current_accelerator(check_available=True) or "cpu"), processor, recorded


def model_revision(name_or_path: str, revision: str | None = None, **hub) -> tuple[str | None, str]:
    r"""
    Finds the immutable version of a model.

    Args:
        name_or_path (`str`): Model on the Hub or folder.
        revision (`str`, *optional*): Branch, tag or commit on the Hub.
        hub: `token`, `cache_dir`, `local_files_only`.

    Returns:
        The revision to pass to `from_pretrained`, and its name in records: the commit, or `sha256:…` of the files of
        a folder, whatever it is called.

    Raises:
        ValueError: A revision of a folder.
    """
    folder = Path(name_or_path)
    if folder.is_dir():
        check_revision(folder, revision)
        return None, f"sha256:{_folder_digest(folder)}"
    resolved = resolve_revision(str(name_or_path), revision, **hub)
    commit = resolved.resolved if isinstance(resolved, ResolvedRevision) else resolved
    return resolved, str(commit or "main")


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        # A checkpoint's files; not what a run has left beside them.
        if path.suffix not in (".safetensors", ".json", ".txt", ".model", ".jinja"):
            continue
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                digest.update(chunk)
    return digest.hexdigest()[:40]

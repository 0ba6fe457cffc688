"""The identity of model weights, by their content or by a commit of the Hub, never by a name or a modification time."""

import hashlib
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from ..checkpoints import hub_access

# The files of a checkpoint; a training run may leave others beside them.
CHECKPOINT_SUFFIXES = (".safetensors", ".json", ".txt", ".model", ".jinja")
CHUNK_BYTES = 1 << 24


class ResolvedCheckpoint(NamedTuple):
    r"""
    A checkpoint whose version is fixed.

    Args:
        options: Keyword arguments for `from_pretrained`; on the Hub with the revision pinned to one commit.
        identity: `sha256:…` of the files of a folder, whatever its name; the commit of a model on the Hub, or, if the
            Hub cannot be reached, the requested revision.
    """

    options: dict[str, Any]
    identity: str


def resolve_checkpoint(name_or_path: str | Path, revision: str | None = None, **hub: Any) -> ResolvedCheckpoint:
    r"""
    Args:
        name_or_path: Model on the Hub or folder.
        revision (`str`, *optional*): Branch, tag or commit on the Hub.
        hub: `token`, `cache_dir`, `local_files_only`, see `hub_access`.

    Raises:
        ValueError: A folder is given with a revision.
    """
    options, commit = hub_access(name_or_path, revision, **hub)
    folder = Path(name_or_path)
    if folder.is_dir():
        return ResolvedCheckpoint(options, f"sha256:{_folder_digest(folder)}")
    return ResolvedCheckpoint(options, commit or revision or "main")


def weights_digest(module: nn.Module) -> str:
    """SHA-256 of the names and values of all weights and buffers of a module, as hexadecimal digits."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


def _folder_digest(folder: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        if path.suffix not in CHECKPOINT_SUFFIXES:
            continue
        digest.update(path.name.encode())
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()[:40]

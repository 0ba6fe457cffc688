"""Which weights exactly a model has: what is computed with it is kept under that name."""

import hashlib
from pathlib import Path

from huggingface_hub import ResolvedRevision
from transformers.utils.hub import resolve_revision

CHUNK = 1 << 24


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
    """
    folder = Path(name_or_path)
    if folder.is_dir():
        return revision, f"sha256:{_folder_digest(folder)}"
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

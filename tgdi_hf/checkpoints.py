"""Which checkpoint a name stands for: a local folder, or a repository on the Hub at one revision."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

logger = logging.getLogger(__name__)

# How files are downloaded. These options do not identify a run, and the token is a secret: neither is recorded.
HUB_OPTIONS = ("token", "cache_dir", "local_files_only")
# The file that a folder written by `tgdi export` has besides a configuration, in place of weights.
EXPORT_MANIFEST = "tgdi_export.json"


def is_export(name: str | Path) -> bool:
    """Whether a name is a folder that `tgdi export` wrote."""
    return (Path(name).expanduser() / EXPORT_MANIFEST).is_file()


def check_checkpoint(name: str, revision: str | None = None, exports: bool = False) -> None:
    r"""
    Refuses a folder without a fine-tuned model before anything is loaded or requested from the Hub.

    Args:
        name: Local folder, or repository on the Hub.
        revision: Branch, tag or commit on the Hub.
        exports: Whether a folder written by `tgdi export` will do as well.

    Raises:
        ValueError: The name can only be a folder and does not exist; the folder contains no model, or an exported one
            where a checkpoint is required; or a revision is given for a folder.
    """
    folder = Path(name).expanduser()
    if folder.is_file():
        raise ValueError(f"{name} is a file; expected the folder of a fine-tuned model, or a name on the Hub.")
    if folder.is_dir():
        if (folder / "config.json").is_file():
            if is_export(folder) and not exports:
                raise ValueError(
                    f"{name} is an export, without weights for PyTorch; expected the checkpoint that it was made of."
                )
            check_revision(folder, revision)
            return
        checkpoints = sorted(folder.glob("checkpoint-*/config.json"), key=lambda file: file.stat().st_mtime)
        advice = f" The newest checkpoint in it is {checkpoints[-1].parent}." if checkpoints else ""
        raise ValueError(
            f"{name} has no config.json; expected the folder of a fine-tuned model, as written by `tgdi train`.{advice}"
        )
    if name.startswith((".", "~", "/")) or "\\" in name or name.endswith("/") or name.count("/") > 1:
        raise ValueError(
            f"{name}: no such folder; expected a fine-tuned model, as written by `tgdi train`."
            f"{near_path(folder, folders_only=True)}"
        )


def near_path(path: Path, folders_only: bool = False) -> str:
    """The folder or file that a misspelt path may mean, for messages; empty if there is none."""
    try:
        names = [other.name for other in path.parent.iterdir() if other.is_dir() or not folders_only]
    except OSError:  # no such folder either, or one that may not be listed
        names = []
    near = get_close_matches(path.name, names, n=1)
    return f" Did you mean {path.with_name(near[0])}?" if near else ""


def check_revision(name: str | Path, revision: str | None) -> None:
    """Raises `ValueError` if a revision is given for a local folder: transformers would ignore it."""
    if revision is not None and Path(name).is_dir():
        raise ValueError(
            f"The revision {revision!r} applies to the Hub, but {name} is a folder. Leave the revision out."
        )


@contextmanager
def explain_hub_errors(name: str | Path, advice: str = "") -> Iterator[None]:
    r"""
    Reports that a model is no local folder: in errors from the Hub and, if its name looks like a path, in a warning
    before the lookup, because attempts to reach the Hub may take long.

    Args:
        name: Local folder, or repository on the Hub.
        advice: What else to do about an error.
    """
    folder = Path(name).expanduser()
    if folder.is_dir():
        yield
        return
    near = near_path(folder, folders_only=True)
    if near or (folder.parent != Path() and folder.parent.is_dir()):
        logger.warning("%s is not a folder, so it is looked up on the Hub.%s", name, near)
    try:
        yield
    except (OSError, ValueError) as error:
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{name}: no such folder, and no model of that name could be loaded from the Hub ({reason}).{near}{advice}"
        ) from error


def hub_access(
    name: str | Path,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> tuple[dict[str, Any], str | None]:
    r"""
    Resolves the revision of a model once, so that all its files come from the same commit.

    Args:
        name: Local folder, or repository on the Hub.
        revision: Branch, tag or commit on the Hub.
        token: Access token; defaults to that of `hf auth login` or of the environment variable `HF_TOKEN`. `False`
            sends none.
        cache_dir: Folder for downloads; defaults to the cache of `huggingface_hub`.
        local_files_only: Use cached files only, without a request to the Hub.

    Returns:
        Keyword arguments for `from_pretrained`, including the resolved revision; and the commit, for records: `None`
        for a folder, and if the Hub could not be reached.

    Raises:
        ValueError: A revision is given for a folder.
    """
    # Imported here: it loads torch, and checking a name does not need it.
    from .modeling.pretrained_towers import pinned_revision

    check_revision(name, revision)
    given = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only or None}
    return pinned_revision(str(name), {option: value for option, value in given.items() if value is not None})

"""Which version of a model is fetched from the Hub, and how."""

from pathlib import Path
from typing import Any

from .checkpoints import check_revision
from .modeling.pretrained_towers import pinned_revision

# Where and how files are fetched; no part of what a run is, and the token is a secret.
HUB_OPTIONS = ("token", "cache_dir", "local_files_only")


def hub_access(
    model: str | Path,
    revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
) -> tuple[dict[str, Any], str | None]:
    r"""
    Args:
        model: Name on the Hub, or a folder.
        revision: Branch, tag or commit on the Hub.
        token: Access token; by default that of `hf auth login` or of the environment variable `HF_TOKEN`. `False` sends
            none.
        cache_dir: Where downloads are kept; the cache of `huggingface_hub` by default.
        local_files_only: Take what the cache has, and don't ask the Hub.

    Returns:
        Keyword arguments for `from_pretrained`, whose revision is pinned: all files come from one commit. And the
        commit, for records: `None` for a folder, and where the Hub couldn't be asked.

    Raises:
        ValueError: A revision of a folder.
    """
    check_revision(model, revision)
    given = {"revision": revision, "token": token, "cache_dir": cache_dir, "local_files_only": local_files_only or None}
    options = {name: value for name, value in given.items() if value is not None}
    return pinned_revision(model, options)

"""Whether there is a fine-tuned model under a name, and if not, why."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def check_checkpoint(name: str, revision: str | None = None) -> None:
    r"""
    Refuses a folder that is no fine-tuned model, before anything is loaded or asked of the Hub.

    Args:
        name: A folder, or a name on the Hub.
        revision: Branch, tag or commit on the Hub.

    Raises:
        ValueError: It can only be a folder and is not there, or is there and has no model in it; or a revision
            of a folder.
    """
    folder = Path(name).expanduser()
    if folder.is_file():
        raise ValueError(f"{name} is a file; expected the folder of a fine-tuned model, or a name on the Hub.")
    if folder.is_dir():
        if (folder / "config.json").is_file():
            check_revision(folder, revision)
            return
        checkpoints = sorted(folder.glob("checkpoint-*/config.json"), key=lambda file: file.stat().st_mtime)
        advice = f" The newest checkpoint in it is {checkpoints[-1].parent}." if checkpoints else ""
        raise ValueError(
            f"{name} has no config.json; expected the folder of a fine-tuned model, as `tgdi train` leaves it.{advice}"
        )
    if name.startswith((".", "~", "/")) or "\\" in name or name.endswith("/") or name.count("/") > 1:
        raise ValueError(f"{name}: there is no such folder; expected a fine-tuned model, as `tgdi train` leaves it.")


def check_revision(model: str | Path, revision: str | None) -> None:
    """Raises ValueError for a revision of a folder, which has none: transformers would ignore it."""
    if revision is not None and Path(model).is_dir():
        raise ValueError(f"The revision {revision!r} is for the Hub, but {model} is a folder: leave the revision out.")


@contextmanager
def explaining(name: str) -> Iterator[None]:
    """Adds to an error of the Hub that there is no folder of that name, either."""
    try:
        yield
    except (OSError, ValueError) as error:
        if Path(name).expanduser().is_dir():
            raise
        reason = " ".join(str(error).split())[:300]
        raise ValueError(
            f"{name}: there is no such folder, and no model of that name could be loaded from the Hub ({reason})"
        ) from error

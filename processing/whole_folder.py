"""Writing a folder atomically."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

CONFIG = "config.json"
WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")


@contextmanager
def whole_folder(folder: str | os.PathLike) -> Iterator[Path]:
    r"""
    Yields a new folder to write a checkpoint to, which replaces `folder` when everything is written. If `folder`
    already contains files, those of the same names are replaced; weights of other names are removed, since they would
    be loaded instead of the new ones; and other files remain.

    Raises:
        NotADirectoryError: `folder` is a file.
    """
    target = Path(folder).absolute()
    if target.exists() and not target.is_dir():
        raise NotADirectoryError(f"{target} is a file; expected a folder, or the name of a new one.")
    target.parent.mkdir(parents=True, exist_ok=True)
    # Moves are atomic only within the file system of the folder, which may differ from that of its parent.
    with TemporaryDirectory(prefix=".saving-", dir=target if target.exists() else target.parent) as beside:
        new = Path(beside, "new")
        new.mkdir()
        yield new
        if not target.exists():
            new.rename(target)
        else:
            _move(new, target)


def _move(new: Path, folder: Path) -> None:
    files = sorted(path.relative_to(new) for path in new.rglob("*") if path.is_file())
    # While old and new files are mixed, the missing configuration prevents the folder from being loaded.
    if Path(CONFIG) in files:
        (folder / CONFIG).unlink(missing_ok=True)
    if any(WEIGHTS.fullmatch(file.name) for file in files):
        for path in folder.iterdir():
            if WEIGHTS.fullmatch(path.name) and Path(path.name) not in files:
                path.unlink()
    for file in sorted(files, key=lambda file: file == Path(CONFIG)):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (new / file).replace(folder / file)

"""Writing a folder as a whole or not at all."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

CONFIG = "config.json"
WEIGHTS = re.compile(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?")


@contextmanager
def whole_folder(folder) -> Iterator[Path]:
    r"""
    Gives a new folder to write a checkpoint into, which takes the place of `folder` when everything is written. If
    `folder` has files already, those of the same names are replaced, weights of other names are removed, since they
    would be loaded in place of the new ones, and what else there is stays.

    Raises:
        NotADirectoryError: `folder` is a file.
    """
    folder = Path(folder).absolute()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder} is a file; expected a folder, or the name of a new one.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    # On the folder's own file system, where a file moves at once or not at all; its parent may be another one.
    with TemporaryDirectory(prefix=".saving-", dir=folder if folder.exists() else folder.parent) as beside:
        new = Path(beside, "new")
        new.mkdir()
        yield new
        if not folder.exists():
            new.rename(folder)
        else:
            _move(new, folder)


def _move(new: Path, folder: Path) -> None:
    files = sorted(path.relative_to(new) for path in new.rglob("*") if path.is_file())
    # Without its configuration nothing loads a folder that has a part of the old files and a part of the new ones.
    if Path(CONFIG) in files:
        (folder / CONFIG).unlink(missing_ok=True)
    if any(WEIGHTS.fullmatch(file.name) for file in files):
        for path in folder.iterdir():
            if WEIGHTS.fullmatch(path.name) and Path(path.name) not in files:
                path.unlink()
    for file in sorted(files, key=lambda file: file == Path(CONFIG)):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
        (new / file).replace(folder / file)

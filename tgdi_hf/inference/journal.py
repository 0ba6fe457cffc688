"""The journal of a run that writes a file: its inputs and settings, and the number of rows written so far."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ..data.row_reader import STANDARD_INPUT


@dataclass(frozen=True)
class Progress:
    r"""
    How far a run has come.

    Args:
        rows: Number of posts that were read.
        bad: Number of posts among them that cannot be used.
        output, errors: Positions of the two `RowWriter`s.
        finishing: 1 if all rows are written and the files are being moved to their final names, else 0.
    """

    rows: int = 0
    bad: int = 0
    output: int = 0
    errors: int = 0
    finishing: int = 0


class Journal:
    r"""
    Records beside an unfinished file how far it is written. The journal is replaced atomically, so that it is complete
    after a kill at any moment.

    Args:
        output: The file.
        identity: What the file depends on: input, checkpoint, options. Only a run with an equal identity can be
            resumed.
    """

    def __init__(self, output: Path, identity: Mapping[str, Any]):
        self.output, self.file = output, output.with_name(output.name + ".journal")
        self.identity = json.loads(json.dumps(identity))

    def begin(self, resume: bool) -> Progress | None:
        r"""
        Returns:
            Where to start. `None` if `resume` is set and the file is complete.

        Raises:
            ValueError: The journal is damaged; or an unfinished run exists, and either `resume` is not set or its
                identity differs.
        """
        if not self.file.exists():
            return None if resume and self.output.exists() else Progress()
        try:
            state = json.loads(self.file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"{self.file} is damaged ({error}). Delete it to start {self.output} again.") from None
        if not resume:
            raise ValueError(
                f"{self.output} is unfinished: {state['rows']:,} rows are written. Continue with --resume "
                f"(`resume=True`), or delete {self.file.name} to start again."
            )
        if state["identity"] != self.identity:
            was, now = state["identity"], self.identity
            differences = [
                f"{name} was {was.get(name)!r}, is {now.get(name)!r}"
                for name in sorted({*was, *now})
                if was.get(name) != now.get(name)
            ]
            raise ValueError(
                f"Cannot resume {self.output}: {'; '.join(differences)}. Use the same input, checkpoint and options, "
                f"or delete {self.file.name} to start again."
            )
        return Progress(**{name: state[name] for name in asdict(Progress())})

    def save(self, progress: Progress) -> None:
        new = self.file.with_name(self.file.name + ".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w", encoding="utf-8") as file:
            json.dump({"identity": self.identity, **asdict(progress)}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.file)

    def end(self) -> None:
        """Deletes the journal: the run is complete."""
        self.file.unlink(missing_ok=True)


def input_identity(posts: Path, outputs: Iterable[Path]) -> dict[str, Any]:
    r"""
    Identifies a file, or all files of a folder, by size and modification time: reading terabytes of posts only to
    identify them would take as long as the run.

    Args:
        posts: A file, a folder, or `-` for the standard input.
        outputs: Files of the run, which may lie in that folder and are ignored.

    Raises:
        ValueError: `posts` does not exist.
    """
    if str(posts) == STANDARD_INPUT:
        return {"posts": STANDARD_INPUT, "size": None, "changed": None}
    if not posts.exists():
        raise ValueError(f"{posts}: no such file or folder.")
    files = [posts] if posts.is_file() else sorted(path for path in posts.rglob("*") if path.is_file())
    ignored = tuple(str(path.resolve()) for path in outputs)
    stats = [path.stat() for path in files if not str(path.resolve()).startswith(ignored)]
    changed = max((stat.st_mtime_ns for stat in stats), default=0)
    return {"posts": str(posts.resolve()), "size": sum(stat.st_size for stat in stats), "changed": changed}

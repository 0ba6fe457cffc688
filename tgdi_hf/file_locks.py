"""Locks between processes. The operating system releases a lock when its process ends, even if it is killed."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout


class OutputInUse(FileExistsError, ValueError):
    """Another process is writing the same output."""


@contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    r"""
    Holds a lock on an output file or folder, so that two processes cannot overwrite each other's results.

    The lock file is `output` with the suffix `.lock` appended; it is deleted on exit. A lock file that a killed process
    left behind is not locked.

    Raises:
        OutputInUse: Another process holds the lock.
    """
    file = output.with_name(output.name + ".lock")
    file.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise OutputInUse(
            f"Another process is writing {output} and holds {file}. Wait until it has finished, or stop it."
        ) from None
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        lock.release()


def is_locked(file: Path) -> bool:
    """Whether another process, or another lock object of this process, holds the lock on a file."""
    if not file.exists():
        return False
    try:
        with FileLock(file, timeout=0):
            return False
    except Timeout:
        return True

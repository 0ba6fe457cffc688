"""Crash-safe on-disk cache of captions and detections, shared between processes."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeVar
from uuid import uuid4

from filelock import FileLock

from ..file_locks import is_locked

T = TypeVar("T")

# The digest of an image and a query; the query is empty for captions and image sizes.
Item = tuple[str, str]

_TABLES = """
CREATE TABLE IF NOT EXISTS settings (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS results (
    key TEXT, image TEXT, query TEXT, value TEXT NOT NULL, PRIMARY KEY (key, image, query)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS claims (
    key TEXT, image TEXT, query TEXT, owner TEXT NOT NULL, PRIMARY KEY (key, image, query)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS files (
    path TEXT PRIMARY KEY, size INTEGER NOT NULL, changed INTEGER NOT NULL, image TEXT NOT NULL
) WITHOUT ROWID;
"""
_MAX_PARAMETERS = 10_000  # SQLite allows 32,766 parameters per statement


class KnownFile(NamedTuple):
    r"""
    The state of an image file when it was hashed.

    Args:
        size: In bytes.
        changed: Modification time in nanoseconds.
        digest: Of the content, from `digest_of`.
    """

    size: int
    changed: int
    digest: str


class ResultCache:
    r"""
    A folder with an SQLite database of results, which several processes of one machine can use at the same time.

    A result is identified by the image (the digest of its file), the query and the settings of the model. All results
    of a batch are written in one transaction, so that a kill at any moment leaves the batch complete or absent. Before
    a process computes a result it claims it; the claim is valid while the process is alive.

    Args:
        folder: Created if it does not exist. Must not be on a network file system, where SQLite's locks may fail.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._owners = self.folder / "owners"
        self._owners.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(self.folder / "results.sqlite", timeout=600, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(_TABLES)
        self._owner = uuid4().hex
        # The operating system releases this lock when the process ends, even if it is killed.
        self._alive = FileLock(self._owners / self._owner)
        self._alive.acquire()

    def close(self) -> None:
        """Releases all claims of this process."""
        with self._transaction():
            self._db.execute("DELETE FROM claims WHERE owner = ?", (self._owner,))
        self._db.close()
        self._alive.release()
        (self._owners / self._owner).unlink(missing_ok=True)

    def __enter__(self) -> "ResultCache":
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def register(self, settings: Mapping[str, Any]) -> str:
        """Stores the settings of a model and returns their key; equal settings have equal keys."""
        text = json.dumps(settings, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (key, text))
        return key

    def settings(self, key: str) -> dict[str, Any]:
        """The settings with which `register` returned the key."""
        return json.loads(self._db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()[0])

    def get(self, key: str, items: Iterable[Item]) -> dict[Item, Any]:
        """The cached results among some items."""
        found: dict[Item, Any] = {}
        for part in _parts(dict.fromkeys(items)):
            wanted = set(part)
            images = list(dict.fromkeys(image for image, _ in part))
            rows = self._db.execute(
                f"SELECT image, query, value FROM results WHERE key = ? AND image IN ({_placeholders(images)})",
                (key, *images),
            )
            found.update(((image, query), json.loads(v)) for image, query, v in rows if (image, query) in wanted)
        return found

    def claim(self, key: str, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        r"""
        Claims all items that have no result and that no other living process has claimed.

        Returns:
            The items that this process has to compute, and those that another process is computing.
        """
        mine, others = [], []
        with self._transaction():
            done = self.get(key, items)
            for image, query in items:
                if (image, query) in done:
                    continue
                row = self._db.execute(
                    "SELECT owner FROM claims WHERE key = ? AND image = ? AND query = ?", (key, image, query)
                ).fetchone()
                if row is not None and row[0] != self._owner and self._is_alive(row[0]):
                    others.append((image, query))
                    continue
                self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (key, image, query, self._owner))
                mine.append((image, query))
        return mine, others

    def put(
        self, results: Iterable[tuple[str, str, str, Any]], claimed: Mapping[str, Iterable[Item]] | None = None
    ) -> None:
        r"""
        Stores results in one transaction.

        Args:
            results: `(key, image, query, value)`; values are plain JSON.
            claimed: Items by key whose claims are released, with or without a result.
        """
        rows = [(key, image, query, json.dumps(value, ensure_ascii=False)) for key, image, query, value in results]
        released = [(key, *item) for key, items in (claimed or {}).items() for item in items]
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", rows)
            self._db.executemany("DELETE FROM claims WHERE key = ? AND image = ? AND query = ?", released)

    def known_files(self, paths: Iterable[str]) -> dict[str, KnownFile]:
        """The states of files from `remember_files`, by path."""
        found: dict[str, KnownFile] = {}
        for part in _parts(dict.fromkeys(paths)):
            rows = self._db.execute(
                f"SELECT path, size, changed, image FROM files WHERE path IN ({_placeholders(part)})", part
            )
            found.update((path, KnownFile(size, changed, digest)) for path, size, changed, digest in rows)
        return found

    def remember_files(self, files: Mapping[str, KnownFile]) -> None:
        """Stores the states of files, by path, so that unchanged files need not be hashed again."""
        with self._transaction():
            rows = [(path, *file) for path, file in files.items()]
            self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", rows)

    def _is_alive(self, owner: str) -> bool:
        path = self._owners / owner
        if is_locked(path):
            return True
        path.unlink(missing_ok=True)
        return False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Takes the write lock at the start, so that no other process changes what the transaction reads."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def default_cache() -> Path:
    """The default folder of the cache: `$TGDI_CACHE`, or `~/.cache/tgdi_hf`."""
    return Path(os.environ.get("TGDI_CACHE") or Path.home() / ".cache" / "tgdi_hf")


def _parts(items: Iterable[T]) -> Iterator[list[T]]:
    items = list(items)
    for start in range(0, len(items), _MAX_PARAMETERS):
        yield items[start : start + _MAX_PARAMETERS]


def _placeholders(values: Sequence) -> str:
    return ",".join("?" * len(values))

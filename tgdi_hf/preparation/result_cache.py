"""What models have said of images, on disk: computed once, whoever asks, however often a run is killed."""

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from filelock import FileLock

from ..file_locks import is_locked

# A piece of work: the image's digest, and what was asked of it (empty for a caption).
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
_AT_ONCE = 10_000  # SQLite takes 32,766 parameters in a statement


class ResultCache:
    r"""
    A folder with an SQLite file of results, which several processes of one machine can use at once.

    A result belongs to an image, by the digest of its file, to what was asked, and to the settings of who answered. It
    is written in the same transaction as those of its batch, so that a kill at any moment leaves a batch whole or not
    at all. Before a process computes something it claims it; the claim holds as long as the process lives.

    Args:
        folder: Made if need be. Not on a network file system, where SQLite's locks may fail.
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
        # The system drops the lock when the process ends, in whatever way.
        self._alive = FileLock(self._owners / self._owner)
        self._alive.acquire()

    def close(self) -> None:
        """Gives up what is claimed and not done."""
        with self._transaction():
            self._db.execute("DELETE FROM claims WHERE owner = ?", (self._owner,))
        self._db.close()
        self._alive.release()
        (self._owners / self._owner).unlink(missing_ok=True)

    def __enter__(self):
        return self

    def __exit__(self, *exception) -> None:
        self.close()

    def register(self, settings: Mapping[str, Any]) -> str:
        """The key under which results of these settings are kept; equal settings have equal keys."""
        text = json.dumps(settings, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()[:16]
        self._db.execute("INSERT OR IGNORE INTO settings VALUES (?, ?)", (key, text))
        return key

    def settings(self, key: str) -> dict[str, Any]:
        """What `register` was told."""
        return json.loads(self._db.execute("SELECT value FROM settings WHERE key = ?", (key,)).fetchone()[0])

    def get(self, key: str, items: Iterable[Item]) -> dict[Item, Any]:
        """Those of the results that there are."""
        found = {}
        for part in _parts(dict.fromkeys(items)):
            wanted = set(part)
            images = list(dict.fromkeys(image for image, _ in part))
            rows = self._db.execute(
                f"SELECT image, query, value FROM results WHERE key = ? AND image IN ({_marks(images)})",
                (key, *images),
            )
            found.update(((image, query), json.loads(v)) for image, query, v in rows if (image, query) in wanted)
        return found

    def claim(self, key: str, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        r"""
        Takes over what nobody has done and no living process is about to do.

        Returns:
            What is now this process's to compute, and what another one is computing.
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
                if row is not None and row[0] != self._owner and self._lives(row[0]):
                    others.append((image, query))
                    continue
                self._db.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?, ?)", (key, image, query, self._owner))
                mine.append((image, query))
        return mine, others

    def put(
        self, results: Iterable[tuple[str, str, str, Any]], claimed: Mapping[str, Iterable[Item]] | None = None
    ) -> None:
        r"""
        Keeps results, all or none.

        Args:
            results: `(key, image, query, value)`, values plain JSON.
            claimed: Items by keys, claims on which end now, whether there is a result or not.
        """
        rows = [(key, image, query, json.dumps(value, ensure_ascii=False)) for key, image, query, value in results]
        ended = [(key, *item) for key, items in (claimed or {}).items() for item in items]
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?)", rows)
            self._db.executemany("DELETE FROM claims WHERE key = ? AND image = ? AND query = ?", ended)

    def known_files(self, paths: Iterable[str]) -> dict[str, tuple[int, int, str]]:
        """For each path that was read before its size, time of change, and digest then."""
        found = {}
        for part in _parts(dict.fromkeys(paths)):
            rows = self._db.execute(
                f"SELECT path, size, changed, image FROM files WHERE path IN ({_marks(part)})", part
            )
            found.update((path, (size, changed, image)) for path, size, changed, image in rows)
        return found

    def remember_files(self, rows: Iterable[tuple[str, int, int, str]]) -> None:
        """Keeps what `known_files` tells."""
        with self._transaction():
            self._db.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", list(rows))

    def _lives(self, owner: str) -> bool:
        path = self._owners / owner
        if is_locked(path):
            return True
        path.unlink(missing_ok=True)
        return False

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Holds the write lock from the start, so that nothing that was read changes before the end."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")


def _parts(items: Iterable) -> Iterator[list]:
    items = list(items)
    for start in range(0, len(items), _AT_ONCE):
        yield items[start : start + _AT_ONCE]


def _marks(values: Sequence) -> str:
    return ",".join("?" * len(values))


def default_cache() -> Path:
    """Where results are kept unless the user says otherwise: `$TGDI_CACHE`, or `~/.cache/tgdi_hf`."""
    return Path(os.environ.get("TGDI_CACHE") or Path.home() / ".cache" / "tgdi_hf")

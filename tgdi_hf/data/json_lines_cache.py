"""JSON files converted to JSON Lines, the only form of JSON that `datasets` reads row by row, and cached on disk."""

import hashlib
import json
import os
import re
from pathlib import Path

from ..processing.post_keys import without_nan
from .json_rows import Parsed, json_rows
from .row_reader import opened

NAN = re.compile(rb"[:,[]\s*NaN\b")


def as_json_lines(path: Path, folder: Path) -> Path:
    """
    A file of JSON Lines with the posts of one: itself, if that is what it is. `datasets` would read an array at once
    into memory, knows no NaN, and takes an object that wraps the posts for a post.
    """
    with opened(path) as file:
        first = next(json_rows(file, str(path)), (None, None))[1]
    if first is None:
        raise ValueError(f"{path} is empty; expected posts.")
    if not isinstance(first, Parsed) and not _has_nan(path):
        return path
    status = path.stat()
    name = hashlib.sha256(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:32]
    made = folder / f"{name}.jsonl"
    if made.exists():
        return made
    folder.mkdir(parents=True, exist_ok=True)
    part = made.with_name(f"{name}.{os.getpid()}")
    try:
        with opened(path) as file, part.open("w", encoding="utf-8", errors="surrogateescape") as lines:
            for where, row in json_rows(file, str(path)):
                try:
                    row = row.value if isinstance(row, Parsed) else json.loads(row)
                except ValueError as error:
                    raise ValueError(f"{where} can't be read: {error}") from None
                if not isinstance(row, dict):
                    raise ValueError(f"{where}: expected an object with text, head and tail, found {row!r:.80}.")
                lines.write(json.dumps(without_nan(row), ensure_ascii=False) + "\n")
        part.replace(made)
    finally:
        part.unlink(missing_ok=True)
    return made


def _has_nan(path: Path) -> bool:
    """Whether NaN may stand somewhere in JSON Lines."""
    with opened(path) as file:
        return any(b"NaN" in line and NAN.search(line) for line in file)

"""Converts JSON files to JSON Lines, the only form of JSON that `datasets` reads row by row, and caches the result."""

import hashlib
import json
import os
import re
from pathlib import Path

from ..processing.post_keys import without_nan
from .json_rows import Parsed, json_rows
from .row_reader import open_binary

_NAN = re.compile(rb"[:,[]\s*NaN\b")


def as_json_lines(path: Path, folder: Path) -> Path:
    r"""
    Converts a file with an array of posts, posts over several lines, or NaN, which `datasets` cannot read, or reads
    into memory as a whole.

    Args:
        path: A JSON file in any form that `json_rows` reads, perhaps compressed.
        folder: Cache of converted files, each named by the path, size and modification time of its source.

    Returns:
        The converted file; `path` itself if no conversion is needed.

    Raises:
        ValueError: The file is empty, or a row is not a JSON object; the message names the row.
    """
    with open_binary(path) as file:
        first = next((row for _, row in json_rows(file, str(path))), None)
    if first is None:
        raise ValueError(f"{path} is empty; expected posts.")
    if not isinstance(first, Parsed) and not _may_have_nan(path):
        return path
    status = path.stat()
    name = hashlib.sha256(f"{path.resolve()} {status.st_size} {status.st_mtime_ns}".encode()).hexdigest()[:32]
    converted = folder / f"{name}.jsonl"
    if not converted.exists():
        folder.mkdir(parents=True, exist_ok=True)
        # A name per process: several may convert the same file.
        part = converted.with_name(f"{name}.{os.getpid()}")
        try:
            _convert(path, part)
            part.replace(converted)
        finally:
            part.unlink(missing_ok=True)
    return converted


def _convert(path: Path, target: Path) -> None:
    with open_binary(path) as file, target.open("w", encoding="utf-8", errors="surrogateescape") as lines:
        for where, row in json_rows(file, str(path)):
            try:
                post = row.value if isinstance(row, Parsed) else json.loads(row)
            except ValueError as error:
                raise ValueError(f"{where} can't be read: {error}") from None
            if not isinstance(post, dict):
                raise ValueError(f"{where}: expected an object with text, head and tail, found {post!r:.80}.")
            lines.write(json.dumps(without_nan(post), ensure_ascii=False) + "\n")


def _may_have_nan(path: Path) -> bool:
    """Whether a line contains NaN where JSON has a value; text inside a string may match, too."""
    with open_binary(path) as file:
        return any(b"NaN" in line and _NAN.search(line) for line in file)

"""Reads the documents of a JSON export: an array, JSON Lines, or one object per file."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from ..data.json_rows import Parsed, json_rows
from ..data.row_reader import open_binary
from .document import Report

SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz")


class JsonDocument(NamedTuple):
    r"""
    Args:
        file: The file.
        where: The place in the file, for messages.
        value: Any JSON value.
    """

    file: Path
    where: str
    value: Any


def json_documents(path: Path, report: Report) -> Iterator[JsonDocument]:
    r"""
    Reads a file, or all JSON files of a folder in alphabetical order.

    Args:
        path: A `.json` or `.jsonl` file, which may be compressed (`.gz`), or a folder of these.
        report: Gets lines that are not JSON.

    Raises:
        ValueError: There is no such file, the folder has none, or the rest of a file can't be read.
    """
    for file in json_files(path):
        is_empty = True
        with open_binary(file) as content:
            for where, row in json_rows(content, file.name, refuse_wrapped=False):
                is_empty = False
                if isinstance(row, Parsed):
                    yield JsonDocument(file, where, row.value)
                    continue
                try:
                    value = json.loads(row)
                except (ValueError, RecursionError) as error:
                    found = row.decode(errors="replace").strip()
                    report.add(file, where, None, "document", f"expected JSON, found {found!r:.80} ({error}).")
                    continue
                yield JsonDocument(file, where, value)
        if is_empty:
            report.add(file, file.name, None, "document", "the file is empty; expected documents.")


def json_files(path: Path) -> list[Path]:
    """The file itself, or the JSON files of a folder. Raises `ValueError` if there are none."""
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ValueError(f"{path}: no such file or folder.")
    files = sorted(file for file in path.iterdir() if file.name.lower().endswith(SUFFIXES) and file.is_file())
    if not files:
        raise ValueError(f"{path} has no JSON files; expected names that end in {', '.join(SUFFIXES)}.")
    return files

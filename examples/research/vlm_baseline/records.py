"""The scored rows on disk: JSON Lines that start with the settings, for a run to resume from."""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import isfinite
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from tgdi_hf.file_locks import sole_writer


@contextmanager
def open_records(file: Path, settings: Mapping[str, Any]) -> Iterator[tuple[list[dict[str, Any]], TextIO]]:
    r"""
    Opens the file of a new or interrupted run.

    Args:
        file: The file.
        settings: All that a score depends on, as plain JSON.

    Yields:
        The finished rows, and the file, to which further ones are appended. A line that an interruption left incomplete
        is removed.

    Raises:
        ValueError: The file has other settings, or is not such a file; the message names the line.
        OutputInUse: Another process writes the file.
    """
    with sole_writer(file):
        content = file.read_bytes() if file.exists() else b""
        content = content[: content.rfind(b"\n") + 1]
        header, *rows = [_parsed(line, file, n) for n, line in enumerate(content.splitlines(), 1)] or [None]
        if header is not None:
            _check_settings(header.get("settings"), json.loads(json.dumps(settings)), file)
        for number, row in enumerate(rows):
            if row.get("row") != number or not _has_scores(row):
                raise ValueError(
                    f"{file}, line {number + 2}: expected the scores of row {number}, found {row!r:.80}. Delete the "
                    "file, or everything from this line on."
                )
        with file.open("r+b" if file.exists() else "wb") as whole:
            whole.truncate(len(content))
        with file.open("a", encoding="utf-8") as lines:
            if header is None:
                write_record(lines, {"settings": settings})
            yield rows, lines


def write_record(lines: TextIO, record: Mapping[str, Any]) -> None:
    """Appends one line, which is on disk when the function returns to a process that is then killed."""
    lines.write(json.dumps(record, ensure_ascii=False) + "\n")
    lines.flush()


def _parsed(line: bytes, file: Path, number: int) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        raise ValueError(f"{file}, line {number} is not JSON: {error}. Choose another folder.") from error
    if not isinstance(found, dict):
        raise ValueError(f"{file}, line {number}: expected a JSON object, found {found!r:.80}. Choose another folder.")
    return found


def _check_settings(found: Any, wanted: Mapping[str, Any], file: Path) -> None:
    if not isinstance(found, dict):
        raise ValueError(f"{file}, line 1: expected the settings of a run. Choose another folder.")
    for name in {**found, **wanted}:
        if found.get(name) != wanted.get(name):
            raise ValueError(
                f"{file} is of a run with other settings: `{name}` is {found.get(name)!r:.200}, not "
                f"{wanted.get(name)!r:.200}. Choose another folder, or delete the file."
            )


def _has_scores(row: Mapping[str, Any]) -> bool:
    scores = row.get("scores")
    values = scores.values() if isinstance(scores, dict) else ()
    return bool(values) and all(isinstance(score, float) and isfinite(score) for score in values)


def probabilities_of_records(records: Sequence[Mapping[str, Any]], names: Sequence[str]) -> np.ndarray:
    """`(rows, L)`: the softmax of the scores over the relations that a row may have; 0 for all others."""
    scores = np.array([[record["scores"].get(name, -np.inf) for name in names] for record in records])
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)

"""Faults of posts: what could not be used as it is, and why; and the report file that lists them."""

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    r"""
    A post that could not be used as it is.

    Args:
        split, row, id: The post; `row` is its index in the split.
        kind: The field that could not be used: `"text"`, `"id"`, `"image"`, `"caption"` or `"objects"`.
        reason: What was expected and what was found.
        kept: Whether the post is in the output. A post without a usable text is left out; a post without a usable
            image is kept as a post without an image.
    """

    split: str
    row: int
    id: str | None
    kind: str
    reason: str
    kept: bool


def write_faults(file: Path, faults: Iterable[Fault]) -> None:
    """Writes one fault per line as JSON, in the order of splits, rows and kinds."""
    with file.open("w", encoding="utf-8") as report:
        for fault in sorted(faults, key=lambda fault: (fault.split, fault.row, fault.kind)):
            report.write(json.dumps(asdict(fault), ensure_ascii=False) + "\n")


def read_faults(file: Path) -> list[Fault]:
    """The faults in a file from `write_faults`."""
    with file.open(encoding="utf-8") as report:
        return [Fault(**json.loads(line)) for line in report]

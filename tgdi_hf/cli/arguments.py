"""Checks and conversions of command-line arguments."""

import json
import sys
from collections.abc import Container, Iterable
from pathlib import Path
from typing import Any, Protocol

import typer


class Splits(Container[str], Iterable[str], Protocol):
    """Names of splits, such as the keys of a `DatasetDict`."""


def config_fields(assignments: list[str]) -> dict[str, Any]:
    """Parses `["toi_num_layers=1", "use_matching_gate=false"]`; values are JSON, or strings where they are not."""
    fields = {}
    for assignment in assignments:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise typer.BadParameter(f"Expected name=value, for example toi_num_layers=1; found {assignment!r}.")
        try:
            fields[name] = json.loads(value)
        except json.JSONDecodeError:
            fields[name] = value
    return fields


def negative_label(label: str | None, none: bool) -> str | None:
    """Combines `--negative` and `--no-negative` into the argument of `find_negative`."""
    if none and label is not None:
        raise typer.BadParameter("--negative and --no-negative exclude each other.", param_hint="--no-negative")
    return None if none else "auto" if label is None else label


def number_or_name(text: str) -> str | float:
    """Converts the value of `--pairs`."""
    try:
        return float(text)
    except ValueError:
        return text


def object_of(text: str) -> list[float] | str:
    """Converts a value of `--object`: a box as a JSON list, or the path of an image."""
    if not text.lstrip().startswith("["):
        return text
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        raise typer.BadParameter(f"Expected a box '[x0, y0, x1, y1]'; found {text!r}.", param_hint="--object") from None


def check_share(control: str | None, share: float) -> None:
    """Refuses `--share` without `--control`."""
    if control is None and share != 1:
        raise typer.BadParameter("--share requires --control.", param_hint="--share")


def check_split(data: Path, splits: Splits, split: str) -> None:
    """Refuses a split that the data lacks."""
    if split not in splits:
        raise typer.BadParameter(f"{data} has no split {split!r}, only {', '.join(splits)}.", param_hint="--split")


def check_posts_argument(posts: Path) -> None:
    """Refuses unreadable input before a model is loaded, and a terminal as input, where the command would hang."""
    if str(posts) != "-":
        from ..data.post_stream import check_posts

        if not posts.exists():
            raise typer.BadParameter(f"{posts}: no such file or folder.", param_hint="POSTS")
        check_posts(posts)
    elif sys.stdin is None or sys.stdin.isatty():
        raise typer.BadParameter(
            "Name a file of posts, or pass posts on standard input: tgdi predict CHECKPOINT < posts.jsonl",
            param_hint="POSTS",
        )


def make_parent(output: Path | None) -> None:
    """Creates the folder of an output file, so that a wrong path fails before the computation."""
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)

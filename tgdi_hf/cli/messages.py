"""Messages that several commands print."""

from collections.abc import Mapping
from pathlib import Path

import typer


def print_scores(metrics: Mapping[str, float], split: str, rows: int) -> None:
    """Prints accuracy, precision, recall and F1 in percent."""
    typer.echo(f"{split}, {rows:,} rows:")
    for name in ("accuracy", "precision", "recall", "f1"):
        typer.echo(f"{name:<10} {100 * metrics[f'eval_{name}']:.2f}")


def counted(number: int, noun: str) -> str:
    """A number with a noun in the singular or, with an s, in the plural."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def warn_if_empty(rows: int, posts: Path) -> None:
    """Warns about empty input, which would otherwise look like a failed command."""
    if not rows:
        source = "standard input" if str(posts) == "-" else posts
        typer.echo(f"No posts found in {source}.", err=True)

"""`tgdi predict`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .arguments import check_posts_argument, negative_label, number_or_name
from .messages import counted, warn_if_empty
from .options import (
    BF16,
    Ambiguous,
    BatchSize,
    Checkpoint,
    Compile,
    MaxBatchTokens,
    Negative,
    NoNegative,
    PairOrder,
    Posts,
    RepeatedMention,
    Revision,
    Threshold,
    Truncation,
    Window,
    Workers,
)
from .pipelines import load_pipeline

if TYPE_CHECKING:
    from ..inference.bulk_prediction import BulkPrediction


def predict(
    checkpoint: Checkpoint,
    posts: Posts = Path("-"),
    output: Annotated[
        Path,
        typer.Argument(help="Output file (.jsonl, .csv or .parquet); '-' prints JSON Lines.", allow_dash=True),
    ] = Path("-"),
    batch_size: BatchSize = 16,
    window: Window = None,
    max_batch_tokens: MaxBatchTokens = 8192,
    top_k: Annotated[
        int | None,
        typer.Option(min=1, help="Maximum number of relations per pair.", show_default="1; multi-label: all"),
    ] = None,
    drop_none: Annotated[bool, typer.Option("--drop-none", help="Omit pairs without a relation.")] = False,
    evidence: Annotated[
        bool, typer.Option("--evidence", help="Add the evidence: matching gate, tokens, image regions and branches.")
    ] = False,
    pairs: PairOrder = "auto",
    negative: Negative = None,
    no_negative: NoNegative = False,
    threshold: Threshold = None,
    ambiguous: Ambiguous = RepeatedMention.error,
    truncation: Truncation = True,
    strict: Annotated[bool, typer.Option(help="Stop at the first invalid post.")] = False,
    errors: Annotated[
        Path | None,
        typer.Option(help="File for invalid posts and the reasons.", show_default="OUTPUT.errors.jsonl"),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run.")] = False,
    workers: Workers = 2,
    revision: Revision = None,
    bf16: BF16 = False,
    compiled: Compile = False,
) -> None:
    """Extract relations from a file of posts of any size; image paths are relative to the file.

    A post has `text` (or `words`), `head` and `tail`, or a list of `entities` for all pairs; optionally `image`,
    `objects` and `caption`.

    One post: echo '{"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}' | tgdi predict runs/demo

    Example: tgdi predict runs/demo posts.jsonl relations.jsonl --top-k 3
    """
    from tqdm.auto import tqdm

    from ..data.row_writer import check_output

    check_posts_argument(posts)
    if str(output) != "-":
        check_output(output)
    if str(output) == "-" and (resume or errors is not None):
        raise typer.BadParameter("--resume and --errors cannot be used with OUTPUT '-'.", param_hint="OUTPUT")
    if str(posts) == "-" and resume:
        raise typer.BadParameter("--resume cannot be used with POSTS '-'.", param_hint="POSTS")
    chosen = negative_label(negative, no_negative)
    pipe = load_pipeline(checkpoint, bf16, chosen, revision, compiled=compiled)
    options: dict[str, Any] = {
        "top_k": top_k,
        "drop_none": drop_none,
        "evidence": evidence,
        "pairs": number_or_name(pairs),
        "negative_label": chosen,
        "threshold": threshold,
        "ambiguous": ambiguous.value,
        "batch_size": batch_size,
        "window": window,
        "max_batch_tokens": max_batch_tokens,
        "strict": strict,
        "truncation": truncation,
    }
    if str(output) == "-":
        from ..inference.prediction_printing import print_predictions

        printed = print_predictions(pipe, posts, num_workers=workers, **options)
        warn_if_empty(printed.rows, posts)
        if printed.rows and printed.bad == printed.rows:
            raise typer.Exit(1)
        return
    from ..inference.bulk_prediction import predict_file
    from ..preparation.checkpoint_identity import resolve_checkpoint

    done = predict_file(
        partial(pipe, num_workers=workers),
        posts,
        output,
        errors,
        resume=resume,
        progress=lambda results, rows: tqdm(results, initial=rows, unit=" posts", disable=None),
        identity={
            "checkpoint": checkpoint,
            "weights": resolve_checkpoint(checkpoint, revision).identity,
            "bf16": bf16,
            # A run that was started by an earlier version has no such entry.
            **({"compile": True} if compiled else {}),
        },
        **options,
    )
    if done is not None and not done.rows:
        warn_if_empty(done.rows, posts)
    else:
        _print_summary(done, output)


def _print_summary(done: BulkPrediction | None, output: Path) -> None:
    if done is None:
        typer.echo(f"{output} already exists and is complete; nothing to do")
        return
    typer.echo(f"Wrote {counted(done.rows - done.bad, 'post')} to {output}")
    if done.bad:
        share, verb = f"{done.bad:,} of {counted(done.rows, 'post')}", "is" if done.bad == 1 else "are"
        typer.echo(f"{share} {verb} invalid; see {done.errors} for the reasons", err=True)
        if done.bad == done.rows:
            raise typer.Exit(1)

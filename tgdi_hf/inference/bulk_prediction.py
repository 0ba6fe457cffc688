"""Prediction of the relations in a file of posts of any size, resumable after a kill at any moment."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

from ..data.post_stream import read_posts
from ..data.row_reader import STANDARD_INPUT
from ..data.row_writer import RowWriter
from ..file_locks import sole_writer
from ..processing.invalid_post import InvalidPost
from ..processing.pipeline_options import posts_per_window
from .journal import Journal, Progress, input_identity
from .prediction_rows import COLUMNS, ERROR_COLUMNS, with_entity_names, without_maps

ROWS_BETWEEN_SAVES = 1024


class BulkPrediction(NamedTuple):
    r"""
    The result of a run.

    Args:
        rows: Number of posts that were read, including those of an interrupted run that was resumed.
        bad: Number of posts among them that cannot be used.
        errors: The file with the reasons, if there are any.
    """

    rows: int
    bad: int
    errors: Path | None


def predict_file(
    pipe: Callable[..., Iterator[dict[str, Any]]],
    posts: str | Path,
    output: str | Path,
    errors: str | Path | None = None,
    *,
    strict: bool = False,
    resume: bool = False,
    batch_size: int = 16,
    window: int | None = None,
    progress: Callable[[Iterable, int], Iterable] | None = None,
    identity: Mapping[str, Any] | None = None,
    rows_between_saves: int = ROWS_BETWEEN_SAVES,
    **options: Any,
) -> BulkPrediction | None:
    r"""
    Predicts the relations in a file of posts in constant memory.

    After every `rows_between_saves` rows the output is flushed to disk and a journal records its position. After a
    kill at any moment, `resume` continues from there, and the finished file is byte for byte that of an undisturbed
    run.

    Args:
        pipe: A `MultimodalRelationExtractionPipeline`.
        posts: See `read_posts`. A run that reads the standard input (`"-"`) cannot be resumed.
        output: A `.jsonl`, `.csv` or `.parquet` file. Each row has `row`, the index of the post in the file, from 0.
            In CSV and Parquet, `head` and `tail` are the texts of the entities, and `relations`, `pairs` and
            `evidence` are JSON.
        errors: File for the posts that cannot be used, with the reasons; by default the name of the output with
            `.errors.jsonl` appended.
        strict: Raise an error for the first post that cannot be used.
        resume: Continue an interrupted run; start a new one if none exists.
        batch_size: Number of posts per batch.
        window: Number of posts that are read ahead and sorted by length, see the pipeline's call. The output is in the
            order of the file.
        progress: Wraps the predictions, for example in a `tqdm` bar; receives the number of rows written before.
        identity: What the predictions depend on besides the posts and the options, such as the checkpoint. A run is
            resumed only with an equal identity.
        rows_between_saves: Rounded up to whole windows, so that resuming does not change any batch.
        options: Arguments of the pipeline's call.

    Returns:
        `BulkPrediction`; `None` if `resume` is set and the output is complete, so that nothing was done.

    Raises:
        InvalidPost: With `strict`, for a post that cannot be used.
        OutputInUse: Another process is writing `output`.
        ValueError: An unfinished run exists, and either `resume` is not set or the posts, the identity or the options
            differ; `identity` uses a reserved name; or two of the files are the same.
    """
    posts, output = Path(posts), Path(output)
    errors = output.with_name(output.name + ".errors.jsonl") if errors is None else Path(errors)
    _check_files(posts, output, errors, resume)
    about_input = {**input_identity(posts, (output, errors)), "errors": str(errors.resolve()), "strict": strict}
    about_run = {"batch_size": batch_size, "window": window, **options}
    given = identity or {}
    if reserved := (about_input.keys() & given.keys()) | (about_run.keys() & {*about_input, *given}):
        raise ValueError(f"`identity` uses reserved names: {', '.join(sorted(reserved))}. Choose other names.")
    journal = Journal(output, {**about_input, **given, **about_run})
    with sole_writer(output):
        start = journal.begin(resume)
        if start is None:
            return None
        published = bool(start.finishing)
        good_rows = RowWriter(output, COLUMNS, start.output, published)
        bad_rows = RowWriter(errors, ERROR_COLUMNS, start.errors, published)
        predictions: Iterable[dict[str, Any]] = pipe(
            read_posts(posts, strict, start=start.rows),
            batch_size=batch_size,
            window=window,
            strict=strict,
            **options,
        )
        if progress is not None:
            predictions = progress(predictions, start.rows)
        whole = posts_per_window(batch_size, window, options.get("evidence", False))
        chunk = -(-rows_between_saves // whole) * whole
        try:
            end = _write(map(without_maps, predictions), chunk, start, journal, good_rows, bad_rows)
        except InvalidPost:  # with `strict`: the corrected file will be another input, so nothing can be resumed
            journal.end()
            for writer in (bad_rows, good_rows):
                writer.discard()
            raise
        # After a kill between these lines the next run finds no rows left to read, and repeats them.
        journal.save(replace(end, finishing=1))
        if end.bad or errors.exists():  # errors of an earlier run must not remain
            bad_rows.finish()
        good_rows.finish()
        journal.end()
        for writer in (bad_rows, good_rows):
            writer.discard()
    return BulkPrediction(end.rows, end.bad, errors if end.bad else None)


def _check_files(posts: Path, output: Path, errors: Path, resume: bool) -> None:
    if resume and str(posts) == STANDARD_INPUT:
        raise ValueError("A run that reads the standard input cannot be resumed. Save the posts to a file.")
    if same := {posts.resolve()} & {output.resolve(), errors.resolve()}:
        raise ValueError(f"{same.pop()} is the file of posts; write the relations to another file.")
    if errors.resolve() == output.resolve():
        raise ValueError(f"{output} cannot take both the relations and the errors; write one of them to another file.")


def _write(
    predictions: Iterator[dict[str, Any]],
    chunk: int,
    progress: Progress,
    journal: Journal,
    good_rows: RowWriter,
    bad_rows: RowWriter,
) -> Progress:
    """Writes the predictions in chunks of so many rows, and records each chunk in the journal."""
    first = list(islice(predictions, 1))
    # The first prediction checks the options: before it, a mistake in them leaves no run to resume.
    journal.save(progress)
    predictions = chain(first, predictions)
    while part := list(islice(predictions, chunk)):
        rows = [{"row": progress.rows + i, **prediction} for i, prediction in enumerate(part)]
        bad = [row for row in rows if "error" in row]
        good_rows.write([with_entity_names(row, good_rows.suffix) for row in rows if "error" not in row])
        if bad:
            bad_rows.write(bad)
        progress = Progress(
            rows=progress.rows + len(rows),
            bad=progress.bad + len(bad),
            output=good_rows.position,
            errors=bad_rows.position,
        )
        journal.save(progress)
    return progress

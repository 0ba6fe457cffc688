"""From a file of posts of any size to a file of relations, whatever interrupts."""

import codecs
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TextIO

from filelock import FileLock, Timeout

from ..data.post_stream import read_posts
from ..data.row_reader import STANDARD_INPUT
from ..data.row_writer import RowWriter, table_of
from ..processing.invalid_post import InvalidPost

if TYPE_CHECKING:
    import pyarrow

# Of CSV and Parquet; what has parts is JSON there.
COLUMNS = {
    "row": int,
    "id": str,
    "head": str,
    "relation": str,
    "tail": str,
    "score": float,
    "gate": float,
    "relations": str,
    "pairs": str,
    "evidence": str,
    "truncated": str,
}
ERROR_COLUMNS = {"row": int, "id": str, "field": str, "error": str}
ROWS_BETWEEN_SAVES = 1024
# Of tables that several processes or machines write parts of.
TABLE_COLUMNS = {"id": str, "relation": str, "error": str, "field": str, "pairs": str, "score": float, "gate": float}


class BulkPrediction(NamedTuple):
    r"""
    What came of a file.

    Args:
        rows: Posts that were read, those of an interrupted run included.
        bad: How many of them can't be used.
        errors: Where it is written why, if there are any.
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
    progress: Callable[[Iterable, int], Iterable] | None = None,
    identity: Mapping[str, Any] | None = None,
    rows_between_saves: int = ROWS_BETWEEN_SAVES,
    **options: Any,
) -> BulkPrediction | None:
    r"""
    Names the relations in a file of posts, at constant memory.

    Every so many rows what is there is written to disk, with a note of how far it goes. After a kill at any moment
    `resume` goes on from there, and the finished file is byte by byte that of a run that nobody disturbed.

    Args:
        pipe: A `MultimodalRelationExtractionPipeline`.
        posts: See `read_posts`; what comes by the standard input (`"-"`) can't be resumed.
        output: A `.jsonl`, `.csv` or `.parquet` file. Each row has `row`, the number of the post in the file, from 0.
            In CSV and Parquet `head` and `tail` are the entities' names, and `relations`, `pairs` and `evidence` JSON.
        errors: Where rows that can't be used go, with the reason; by default the output's name with `.errors.jsonl`
            after it.
        strict: Stop at such a row.
        resume: Go on with a run that was interrupted; begin if there is none.
        batch_size: Posts a batch.
        progress: Wraps the results, and is told how many rows there were before, such as a `tqdm`.
        identity: What the relations depend on besides the file and the options: the model. A run is not resumed with
            another.
        rows_between_saves: Rounded up to whole batches, so that resuming changes no batch.
        options: Of the pipeline's call.

    Returns:
        What came of it; `None` if `resume` found a finished file and nothing to resume, and so did nothing.

    Raises:
        InvalidPost: With `strict`, a post that can't be used.
        ValueError: There is an unfinished run and `resume` is not set, or it is of another file, model or options; or
            `identity` names something as the run itself does.
    """
    posts, output = Path(posts), Path(output)
    if resume and str(posts) == STANDARD_INPUT:
        raise ValueError(
            "What came by the standard input is gone, so such a run can't be resumed. Save the posts in a file."
        )
    errors = output.with_name(output.name + ".errors.jsonl") if errors is None else Path(errors)
    if same := {posts.resolve()} & {output.resolve(), errors.resolve()}:
        raise ValueError(f"{same.pop()} is the file of posts; the relations need another one.")
    if errors.resolve() == output.resolve():
        raise ValueError(f"{output} can't have the relations and the errors; name another file for one of them.")
    about = {**_identity(posts, output, errors), "errors": str(errors.resolve()), "strict": strict}
    made_of = {"batch_size": batch_size, **options}
    if twice := (about.keys() & (identity or {}).keys()) | (made_of.keys() & {*about, *(identity or {})}):
        raise ValueError(f"`identity` has {', '.join(sorted(twice))}, which a run has by itself; expected other names.")
    journal = Journal(output, {**about, **(identity or {}), **made_of})
    with _alone(output):
        start = journal.begin(resume)
        if start is None:
            return None
        published = bool(start["finishing"])
        results = RowWriter(output, COLUMNS, start["output"], published)
        faults = RowWriter(errors, ERROR_COLUMNS, start["errors"], published)
        found = pipe(read_posts(posts, strict, start=start["rows"]), batch_size=batch_size, strict=strict, **options)
        found = map(_without_maps, found if progress is None else progress(found, start["rows"]))
        chunk = -(-rows_between_saves // batch_size) * batch_size
        try:
            state = _write(found, chunk, start, journal, results, faults)
        except InvalidPost:  # with `strict`; the file will be another one when it is mended
            journal.end()
            for writer in (faults, results):
                writer.discard()
            raise
        # A kill between these lines is made good by the next run, which finds nothing left to read.
        journal.save({**state, "finishing": 1})
        if state["bad"] or errors.exists():  # those of an earlier run would mislead
            faults.finish()
        results.finish()
        journal.end()
        for writer in (faults, results):
            writer.discard()
    return BulkPrediction(state["rows"], state["bad"], errors if state["bad"] else None)


@contextmanager
def _alone(output: Path) -> Iterator[None]:
    """Two processes that write one file would lose each other's rows."""
    output.parent.mkdir(parents=True, exist_ok=True)
    file = output.with_name(output.name + ".lock")
    lock = FileLock(file)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise ValueError(f"Another process is writing {output}; let it finish, or stop it first.") from None
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
        lock.release()


def _write(
    found: Iterator[dict[str, Any]],
    chunk: int,
    state: dict[str, int],
    journal: "Journal",
    results: RowWriter,
    faults: RowWriter,
) -> dict[str, int]:
    """Writes what is found, chunk by chunk with a note of how far that goes; gives the last one."""
    first = list(islice(found, 1))
    # From now on there is a run to resume; mistakes in its options have come to light.
    journal.save(state)
    found = chain(first, found)
    while part := list(islice(found, chunk)):
        numbered = [{"row": state["rows"] + i, **result} for i, result in enumerate(part)]
        wrong = [row for row in numbered if "error" in row]
        results.write([_readable(row, results.suffix) for row in numbered if "error" not in row])
        if wrong:
            faults.write(wrong)
        rows, bad = state["rows"] + len(part), state["bad"] + len(wrong)
        state = {"rows": rows, "bad": bad, "output": results.position, "errors": faults.position, "finishing": 0}
        journal.save(state)
    return state


class Journal:
    r"""
    Notes beside a file in the making how far it has come.

    Args:
        output: The file.
        identity: What it is made of. A run is resumed only with the same.
    """

    def __init__(self, output: Path, identity: Mapping[str, Any]):
        self.output, self.file = output, output.with_name(output.name + ".journal")
        self.identity = json.loads(json.dumps(identity))

    def begin(self, resume: bool) -> dict[str, int] | None:
        """Where to begin; `None` if there is a finished file and nothing to resume."""
        fresh = {"rows": 0, "bad": 0, "output": 0, "errors": 0, "finishing": 0}
        if not self.file.exists():
            return None if resume and self.output.exists() else fresh
        try:
            state = json.loads(self.file.read_text(encoding="utf-8"))
        except json.JSONDecodeError as error:
            raise ValueError(f"{self.file} is damaged ({error}); delete it to begin {self.output} anew.") from None
        if not resume:
            raise ValueError(
                f"{self.output} is unfinished: {state['rows']:,} rows are done. Go on with --resume (`resume=True`), "
                f"or delete {self.file.name} to begin anew."
            )
        if state["identity"] != self.identity:
            was, now = state["identity"], self.identity
            other = [f"{name} was {was.get(name)!r}, is {now.get(name)!r}" for name in {*was, *now}]
            other = sorted(text for name, text in zip({*was, *now}, other) if was.get(name) != now.get(name))
            raise ValueError(
                f"{self.output} can't be resumed, because it was begun with something else: {'; '.join(other)}. Take "
                f"that again, or delete {self.file.name} to begin anew."
            )
        return {name: state[name] for name in fresh}

    def save(self, state: Mapping[str, int]) -> None:
        new = self.file.with_name(self.file.name + ".new")
        new.parent.mkdir(parents=True, exist_ok=True)
        with new.open("w", encoding="utf-8") as file:
            json.dump({"identity": self.identity, **state}, file)
            file.flush()
            os.fsync(file.fileno())
        new.replace(self.file)

    def end(self) -> None:
        self.file.unlink(missing_ok=True)


def _identity(posts: Path, *outputs: Path) -> dict[str, Any]:
    """Names a file, or all files of a folder but what is made of them, by their sizes and when they were changed."""
    if str(posts) == STANDARD_INPUT:
        return {"posts": STANDARD_INPUT, "size": None, "changed": None}
    if not posts.exists():
        raise ValueError(f"{posts}: there is no such file or folder.")
    files = [posts] if posts.is_file() else sorted(path for path in posts.rglob("*") if path.is_file())
    made = tuple(str(path.resolve()) for path in outputs)
    stats = [path.stat() for path in files if not str(path.resolve()).startswith(made)]
    changed = max((about.st_mtime_ns for about in stats), default=0)
    return {"posts": str(posts.resolve()), "size": sum(about.st_size for about in stats), "changed": changed}


def _without_maps(result: dict[str, Any]) -> dict[str, Any]:
    """A result without the similarity of patches and tokens: thousands of numbers, which `tgdi explain` draws."""
    for part in (result, *result.get("pairs", ())):
        part.get("evidence", {}).pop("similarity", None)
    return result


def _readable(result: dict[str, Any], kind: str) -> dict[str, Any]:
    """A result with plain names of entities where there are only columns."""
    if kind in (".jsonl", ".json") or "pairs" in result:
        return result
    return {**result, "head": result["head"]["text"], "tail": result["tail"]["text"]}


def as_table(results: Iterable[Mapping[str, Any]]) -> "pyarrow.Table":
    """Results as a table that has the same columns whatever they are; `pairs` become JSON."""
    return table_of(results, TABLE_COLUMNS)


def print_predictions(pipe: Callable, posts: str | Path, strict: bool, **options: Any) -> BulkPrediction:
    r"""
    Prints results as JSON Lines; those of posts that can't be used go to the standard error. Where the locale's
    encoding is another one than UTF-8, what is not ASCII is escaped, so that the lines are JSON in every encoding.
    """
    escaped = {stream: not is_utf8(stream) for stream in (sys.stdout, sys.stderr)}
    rows = bad = 0
    for result in map(_without_maps, pipe(read_posts(posts, strict), strict=strict, **options)):
        stream = sys.stderr if "error" in result else sys.stdout
        text = json.dumps({"row": rows, **result}, ensure_ascii=escaped[stream])
        print(text.encode("utf-8", "backslashreplace").decode(), file=stream)
        rows, bad = rows + 1, bad + ("error" in result)
    return BulkPrediction(rows, bad, None)


def is_utf8(stream: TextIO) -> bool:
    """Whether text is written to a stream as UTF-8; a stream without an encoding keeps text as it is."""
    encoding = getattr(stream, "encoding", None)
    return encoding is None or codecs.lookup(encoding).name == "utf-8"


def model_identity(checkpoint: str | Path) -> dict[str, Any]:
    """Tells models apart that were saved to one folder one after the other; other files there are of no account."""
    folder = Path(checkpoint)
    if not folder.is_dir():
        return {"checkpoint": str(checkpoint), "checkpoint_changed": None}
    files = [file for file in folder.iterdir() if file.suffix in (".safetensors", ".json", ".txt", ".model")]
    changed = max((file.stat().st_mtime_ns for file in files), default=0)
    return {"checkpoint": str(checkpoint), "checkpoint_changed": changed}

"""Prediction over many posts."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel

from .posts import read_table, undecoded
from .processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from .processing.processing_tgdi import TGDIProcessor


def read_posts(path: str | Path, strict: bool = True) -> Iterator[dict[str, Any]]:
    r"""
    Streams posts as `predict` takes them.

    Args:
        path: A JSON Lines file, one object a line, in which relative image paths (`image`, strings in `objects`) start
            at its folder; or a folder, or a file of another kind, that `read_table` takes, such as what `prepare` made.
        strict: Stop at a bad line; `False` yields `{"error": …}` in its place, which `predict` passes on.

    Yields:
        The posts, with `where` naming file and line for later messages.

    Raises:
        ValueError: A line that is not such an object; the message names file and line.
    """
    path = Path(path)
    if path.is_dir() or path.suffix.lower() not in (".jsonl", ".json"):
        for split, rows in read_table(path).items():
            for number, row in enumerate(undecoded(rows)):
                yield {**row, "where": f"{path}, {split}, row {number}"}
        return
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                yield _post(line, f"{path}, line {number}", path.parent)
            except ValueError as error:
                if strict:
                    raise
                yield {"error": str(error)}


def _post(line: str, where: str, folder: Path) -> dict[str, Any]:
    try:
        post = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: expected a JSON object, found {line.strip()[:80]!r} ({error}).") from None
    missing = [name for name in ("head", "tail") if not isinstance(post, dict) or name not in post]
    if missing or not ("text" in post or "words" in post):
        raise ValueError(
            f"{where}: expected an object with text (or words), head and tail, found {line.strip()[:80]!r}."
        )
    objects = post.get("objects")
    if not isinstance(objects, list | None):
        raise ValueError(f"{where}: `objects` is {objects!r}; expected a list of boxes or paths.")
    post["image"] = _picture(post.get("image"), folder, f"{where}, image")
    post["objects"] = [_picture(part, folder, f"{where}, object {i}") for i, part in enumerate(objects or [])]
    post["where"] = where
    return post


def _picture(value: Any, folder: Path, where: str) -> Any:
    if not isinstance(value, str):
        return value
    if not value or "://" in value:
        raise ValueError(
            f"{where} is {value!r}; expected the path of a file, or null where there is none. URLs are not fetched."
        )
    return folder / value


def predict(
    model: PreTrainedModel,
    processor: TGDIProcessor,
    posts: Iterable[Mapping[str, Any]] | Mapping[str, Any],
    batch_size: int = 16,
    top_k: int = 1,
    strict: bool = True,
    num_workers: int = 0,
    **options: Any,
) -> Iterator[dict[str, Any]]:
    r"""
    Names the relation in each post, lazily and at constant memory: batch after batch, in order.

    Args:
        model: A fine-tuned `TGDIForRelationExtraction`; runs where it is, in the dtype it has, and is left in
            evaluation mode.
        processor: Its processor.
        posts: Posts as the pipeline takes them, or one of them.
        batch_size, top_k, strict, num_workers, options: Of a call of `MultimodalRelationExtractionPipeline`.

    Yields:
        For each post the result of the pipeline.

    Raises:
        InvalidPost: A post that can't be used (a `ValueError`); the message names it and what is wrong.
    """
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, device=model.device)
    posts = [posts] if isinstance(posts, Mapping) else posts
    return pipe(iter(posts), batch_size=batch_size, top_k=top_k, strict=strict, num_workers=num_workers, **options)

"""Prediction over many posts."""

import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from .collator import TGDICollator
from .posts import read_table, undecoded
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
) -> Iterator[dict[str, Any]]:
    r"""
    Names the relation in each post, lazily and at constant memory: batch after batch, in order.

    Args:
        model: A fine-tuned `TGDIForRelationExtraction`; runs where it is, in the dtype it has, and is left in
            evaluation mode.
        processor: Its processor.
        posts: Mappings with `text` or `words`; `head` and `tail`, as spans or by what they are called in the text; and
            optionally `image`, `objects`, `caption`. Or one of them.
        batch_size: Posts a forward pass.
        top_k: How many relations to list in `relations`, best first.
        strict: Stop at a post that can't be used; `False` yields `{"error": …}` in its place and goes on.
        num_workers: Threads that open pictures of the batches to come while the model is at one.

    Yields:
        For each post its `id` if it has one; `relation` and its `score` (a probability); `relations` (the `top_k` best
        with their scores); and `gate`, the mean of the matching gate: how much of the fused states the text let
        through, `None` where no picture was looked at.

    Raises:
        ValueError: A post that can't be used; the message names it and what is wrong.
    """
    if batch_size < 1 or top_k < 1:
        raise ValueError(f"`batch_size` is {batch_size} and `top_k` {top_k}; expected 1 or more of each.")
    if isinstance(posts, Mapping):
        posts = [posts]
    model.eval()
    read = partial(_read, TGDICollator(processor), strict)
    return _predict(model, read, iter(posts), batch_size, top_k, num_workers)


@torch.inference_mode()
def _predict(model, read: Callable, posts: Iterator, batch_size: int, top_k: int, num_workers: int) -> Iterator:
    for rows, faults, inputs in _ahead(read, _batches(posts, batch_size), num_workers):
        predictions = iter(()) if inputs is None else _relations(model, inputs, len(rows) - len(faults), top_k)
        for i, row in enumerate(rows):
            identity = {"id": row["id"]} if "id" in row else {}
            yield identity | ({"error": faults[i]} if i in faults else next(predictions))


def _batches(posts: Iterator, size: int) -> Iterator[list[dict[str, Any]]]:
    numbered = enumerate(posts)
    while batch := list(islice(numbered, size)):
        rows = [{"where": f"post {number}", **post} for number, post in batch]
        for row in rows:
            row.pop("label", None)
        yield rows


def _ahead(function: Callable, items: Iterable, workers: int) -> Iterator:
    """`map`, in threads that are at the items to come while somebody is at the one that has come."""
    if not workers:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        coming: deque[Future] = deque()
        for item in items:
            coming.append(pool.submit(function, item))
            if len(coming) > workers:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()


def _read(
    collate: TGDICollator, strict: bool, rows: list[dict[str, Any]]
) -> tuple[list, dict[int, str], Mapping | None]:
    """The rows of a batch, what is wrong with which, and the tensors of the others."""
    faults = {} if strict else {i: row["error"] for i, row in enumerate(rows) if "error" in row}
    try:
        return rows, faults, _collate(collate, rows, faults)
    except ValueError:
        if strict:
            raise
        faults |= {i: fault for i, row in enumerate(rows) if i not in faults and (fault := _fault(collate, row))}
        return rows, faults, _collate(collate, rows, faults)


def _collate(collate: TGDICollator, rows: list[dict[str, Any]], faults: Mapping[int, str]) -> Mapping | None:
    usable = [row for i, row in enumerate(rows) if i not in faults]
    return collate(usable) if usable else None


def _fault(collate: TGDICollator, row: Mapping[str, Any]) -> str | None:
    try:
        collate([row])
    except ValueError as error:
        return str(error)
    return None


def _relations(model, inputs: Mapping[str, torch.Tensor], rows: int, top_k: int) -> Iterator:
    names = model.config.id2label
    outputs = model(**{name: tensor.to(model.device) for name, tensor in inputs.items()})
    scores, indices = outputs.logits.float().softmax(-1).topk(min(top_k, model.config.num_labels))
    gates = _gates(outputs.matching_gate, inputs.get("image_mask"), rows)
    for row_scores, row_indices, gate in zip(scores.tolist(), indices.tolist(), gates):
        relations = [{"relation": names[index], "score": score} for index, score in zip(row_indices, row_scores)]
        yield {**relations[0], "relations": relations, "gate": gate}


def _gates(gate: torch.Tensor | None, image_mask: torch.Tensor | None, rows: int) -> list[float | None]:
    if gate is None or image_mask is None:
        return [None] * rows
    means, seen = gate.float().mean(-1).tolist(), image_mask.any(-1).tolist()
    return [mean if looked else None for mean, looked in zip(means, seen)]

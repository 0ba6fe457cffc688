"""Prediction over many posts."""

import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from .collator import TGDICollator
from .processing.processing_tgdi import TGDIProcessor


def read_posts(path: str | Path) -> Iterator[dict[str, Any]]:
    r"""
    Streams posts from a JSON Lines file, one object a line, as `predict` takes them.

    Args:
        path: The file. Relative image paths in it (`image`, strings in `objects`) start at its folder.

    Raises:
        ValueError: A line that is not such an object; the message names file and line.
    """
    path = Path(path)
    with path.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                post = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(
                    f"{path}, line {number}: expected a JSON object, found {line.strip()[:80]!r} ({error})."
                ) from None
            missing = [name for name in ("head", "tail") if not isinstance(post, dict) or name not in post]
            if missing or not ("text" in post or "words" in post):
                raise ValueError(
                    f"{path}, line {number}: expected an object with text (or words), head and tail, found "
                    f"{line.strip()[:80]!r}."
                )
            if isinstance(post.get("image"), str):
                post["image"] = path.parent / post["image"]
            post["objects"] = [path.parent / o if isinstance(o, str) else o for o in post.get("objects") or []]
            yield post


@torch.inference_mode()
def predict(
    model: PreTrainedModel,
    processor: TGDIProcessor,
    posts: Iterable[Mapping[str, Any]],
    batch_size: int = 16,
    top_k: int = 1,
) -> Iterator[dict[str, Any]]:
    r"""
    Names the relation in each post, lazily and at constant memory: batch after batch, in order.

    Args:
        model: A fine-tuned `TGDIForRelationExtraction`; runs where it is, in the dtype it has.
        processor: Its processor.
        posts: Mappings with `text` or `words`, `head` and `tail` spans, and optionally `image`, `objects`, `caption`.
        batch_size: Posts a forward pass.
        top_k: How many relations to list in `relations`, best first.

    Yields:
        For each post `relation` and its `score` (a probability), `relations` (the `top_k` best with their scores) and
        `gate`, the mean of the matching gate: how much of the fused states the text let through; `None` where no
        picture was looked at.
    """
    model.eval()
    collate = TGDICollator(processor)
    names = model.config.id2label
    for batch in _batches(posts, batch_size):
        inputs = collate([{key: value for key, value in post.items() if key != "label"} for post in batch])
        outputs = model(**{name: tensor.to(model.device) for name, tensor in inputs.items()})
        scores, indices = outputs.logits.float().softmax(-1).topk(min(top_k, model.config.num_labels))
        gates = _gates(outputs.matching_gate, inputs.get("image_mask"), len(batch))
        for row_scores, row_indices, gate in zip(scores.tolist(), indices.tolist(), gates):
            relations = [{"relation": names[index], "score": score} for index, score in zip(row_indices, row_scores)]
            yield {**relations[0], "relations": relations, "gate": gate}


def _batches(posts: Iterable[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    iterator = iter(posts)
    while batch := list(islice(iterator, size)):
        yield batch


def _gates(gate: torch.Tensor | None, image_mask: torch.Tensor | None, rows: int) -> list[float | None]:
    if gate is None or image_mask is None:
        return [None] * rows
    means, seen = gate.float().mean(-1).tolist(), image_mask.any(-1).tolist()
    return [mean if looked else None for mean, looked in zip(means, seen)]

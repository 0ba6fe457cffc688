"""Prediction over many posts."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from transformers import PreTrainedModel

from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from ..processing.processing_tgdi import TGDIProcessor


def predict(
    model: PreTrainedModel,
    processor: TGDIProcessor,
    posts: Iterable[Mapping[str, Any]] | Mapping[str, Any],
    batch_size: int = 16,
    top_k: int = 1,
    strict: bool = True,
    num_workers: int = 0,
    ambiguous: str = "error",
    **options: Any,
) -> Iterator[dict[str, Any]]:
    r"""
    Names the relation in each post, lazily and at constant memory: batch after batch, in order.

    Args:
        model: A fine-tuned `TGDIForRelationExtraction`; runs where it is, in the dtype it has, and is left in
            evaluation mode.
        processor: Its processor.
        posts: Posts as the pipeline takes them, or one of them.
        batch_size, top_k, strict, num_workers, ambiguous, options: Of a call of `MultimodalRelationExtractionPipeline`.

    Yields:
        For each post the result of the pipeline.

    Raises:
        InvalidPost: A post that can't be used (a `ValueError`); the message names it and what is wrong.
    """
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor, device=model.device)
    posts = [posts] if isinstance(posts, Mapping) else posts
    return pipe(
        iter(posts),
        batch_size=batch_size,
        top_k=top_k,
        strict=strict,
        num_workers=num_workers,
        ambiguous=ambiguous,
        **options,
    )

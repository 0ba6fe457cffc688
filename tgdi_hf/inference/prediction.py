"""Predicting relations for an iterable of posts."""

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
    Predicts the relation in each post: lazily, in order, with constant memory.

    Args:
        model: A fine-tuned `TGDIForRelationExtraction`. It keeps its device and dtype, and is left in evaluation mode.
        processor: The model's processor.
        posts: Posts in the pipeline's input format, or a single post.
        batch_size, top_k, strict, num_workers, ambiguous, options: Call arguments of
            `MultimodalRelationExtractionPipeline`.

    Yields:
        The pipeline's result for each post.

    Raises:
        InvalidPost: A post is unusable (a `ValueError`); the message names the post and the reason.
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

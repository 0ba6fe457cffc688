"""Evidence for one prediction: its scores, and heat maps of where in the image each word matches (paper, Fig. 5)."""

from collections.abc import Mapping, Sequence
from typing import Any

from ..processing.entity_markers import HEAD_END, HEAD_START, TAIL_END, TAIL_START
from ..processing.invalid_post import InvalidPost
from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from .heat_map import heat_map, seen_image

MOST_RELATIONS = 5
NO_RELATION = "no relation"


def format_relation(prediction: Mapping[str, Any], digits: int = 2) -> str:
    """A relation with its probability; a multi-label model may predict no relation."""
    if prediction["relation"] is None:
        return NO_RELATION
    return f"{prediction['relation']} {prediction['score']:.{digits}f}"


def explain(
    pipe: MultimodalRelationExtractionPipeline, post: Mapping[str, Any], words: Sequence[str] = ()
) -> tuple[dict[str, Any], list[tuple[str, Any]]]:
    r"""
    Args:
        pipe: The pipeline.
        post: One with head and tail.
        words: Words of the post to look for in the image, besides the two entities.

    Returns:
        The pipeline's result with evidence; and pairs of a title and an image: the image as the model saw it, then a
        heat map for head, tail and each of `words`, if the model has a gate. None without image, or of a model that
        looks at none.

    Raises:
        InvalidPost: The post can't be used.
        ValueError: A word is not in the post.
    """
    batch = pipe.read([(0, post)], strict=True)
    (result,) = pipe.results(batch, strict=True, top_k=MOST_RELATIONS, evidence=True)
    if "pairs" in result:
        raise InvalidPost(f"A post to explain has one pair; expected one head and one tail, found {dict(post)!r:.80}.")
    evidence = result["evidence"]
    if not pipe.model.config.uses_vision:
        return result, []
    pixels = batch.first_image(0)
    if pixels is None:
        return result, []
    image = seen_image(pipe.processor, pixels)
    if evidence["similarity"] is None:
        return result, [("as the model saw it", image)]
    texts = [token["text"] for token in evidence["tokens"]]
    wanted = {
        f"head: {result['head']['text']}": _between(texts, HEAD_START, HEAD_END),
        f"tail: {result['tail']['text']}": _between(texts, TAIL_START, TAIL_END),
        **{word: _pieces(pipe.processor.tokenizer, texts, word) for word in words},
    }
    images = [("as the model saw it", image)]
    for title, (start, end) in wanted.items():
        images.append((title, heat_map(image, evidence["similarity"][0][:, :, start:end].sum(-1))))
    return result, images


def _between(texts: list[str], opening: str, closing: str) -> tuple[int, int]:
    return texts.index(opening) + 1, texts.index(closing)


def _pieces(tokenizer, texts: list[str], word: str) -> tuple[int, int]:
    """Where the tokens of a word stand."""
    tokens = tokenizer.tokenize(word)
    pieces = [tokenizer.convert_tokens_to_string([token]).strip() or token for token in tokens]
    for start in range(len(texts) - len(pieces) + 1):
        if pieces and texts[start : start + len(pieces)] == pieces:
            return start, start + len(pieces)
    raise ValueError(f"{word!r} is not a word of the post as the model reads it: {' '.join(texts)!r}.")


__all__ = ["NO_RELATION", "explain", "format_relation"]

"""Evidence for one prediction: its scores, and heat maps of where the images match the text (paper, Fig. 5)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ..processing.entity_markers import HEAD_END, HEAD_START, TAIL_END, TAIL_START
from ..processing.invalid_post import InvalidPost
from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from .heat_map import RelativeBox, heat_map, outline, resized
from .seen_images import seen_images

MOST_RELATIONS = 5
NO_RELATION = "no relation"
AS_SEEN, WHOLE_TEXT = "as the model saw it", "whole text"


class Panel(NamedTuple):
    """An image of an explanation, with its title and a description for readers who do not see it."""

    title: str
    image: Image.Image
    description: str


@dataclass(frozen=True)
class ExplainedImage:
    r"""
    An image of a post as the model saw it, and where it matches the text.

    Args:
        name: `"image"`, `"object 0"`, `"object 1"`, …
        image: RGB, in the proportions of the part of the original that the model saw.
        objects: The objects that lie on the image, as boxes in fractions of its width and height.
        cosine (`np.ndarray`, *optional*): The cosine of each patch and each token of the text,
            `(rows, columns, tokens)`, in [-1, 1]; `None` if the model has no matching gate.
        maps: `(rows, columns)` by title: the mean cosine over all tokens of the text, over those of either entity and
            over those of each wanted word.
    """

    name: str
    image: Image.Image
    objects: Mapping[str, RelativeBox] = field(default_factory=dict)
    cosine: np.ndarray | None = None
    maps: Mapping[str, np.ndarray] = field(default_factory=dict)

    def seen(self, size: int = 448) -> Panel:
        """The image with its objects outlined; its longer side has `size` pixels."""
        names = list(self.objects)
        outlined = f", outlined: {', '.join(names)}" if names else ""
        image = outline(resized(self.image, size), self.objects)
        return Panel(f"{self.name}, {AS_SEEN}", image, f"{self.name}, {AS_SEEN}{outlined}")

    def map(self, title: str, cosine: np.ndarray | None = None, size: int = 448) -> Panel:
        """The heat map of `title`, one of `maps` unless `cosine` is given, with the objects outlined."""
        cosine = self.maps[title] if cosine is None else cosine
        image = outline(heat_map(self.image, cosine, size), self.objects)
        description = f"{self.name}, heat map of {title}: cosine from {cosine.min():.2f} to {cosine.max():.2f}"
        return Panel(f"{self.name}, {title}", image, f"{description}, highest at the {_place_of_maximum(cosine)}")


def format_relation(prediction: Mapping[str, Any], digits: int = 2) -> str:
    """A relation with its probability; a multi-label model may predict no relation."""
    if prediction["relation"] is None:
        return NO_RELATION
    return f"{prediction['relation']} {prediction['score']:.{digits}f}"


def explain(
    pipe: MultimodalRelationExtractionPipeline, post: Mapping[str, Any], words: Sequence[str] = ()
) -> tuple[dict[str, Any], list[ExplainedImage]]:
    r"""
    Args:
        pipe: The pipeline.
        post: One with head and tail.
        words: Words of the post to look for in the images, besides the two entities.

    Returns:
        The pipeline's result with evidence; and the images of the post, the whole image first, with a heat map of the
        whole text, of head and tail and of each of `words`. No images of a post without image, or of a model that
        looks at none; no heat maps of a model without matching gate (see `missing_maps`).

    Raises:
        InvalidPost: The post can't be used.
        ValueError: A word is not in the post, or there is no heat map in which to look for it.
    """
    batch = pipe.read([(0, post)], strict=True)
    (result,) = pipe.results(batch, strict=True, top_k=MOST_RELATIONS, evidence=True)
    if "pairs" in result:
        raise InvalidPost(f"A post to explain has one pair; expected one head and one tail, found {dict(post)!r:.80}.")
    seen = seen_images(pipe.processor, batch) if pipe.model.config.uses_vision else []
    cosine = result["evidence"]["cosine"]
    if cosine is None:
        images = [ExplainedImage(*one) for one in seen]
        if words:
            raise ValueError(f"{', '.join(map(repr, words))} cannot be looked for: {missing_maps(pipe, images)}")
        return result, images
    groups = _token_groups(result, pipe.processor.tokenizer, words)
    return result, [
        ExplainedImage(*one, of_image, {title: of_image[:, :, tokens].mean(-1) for title, tokens in groups.items()})
        for one, of_image in zip(seen, cosine)
    ]


def missing_maps(pipe: MultimodalRelationExtractionPipeline, images: Sequence[ExplainedImage]) -> str | None:
    """The reason why an explanation has no heat maps, as a sentence; `None` if it has some."""
    if not pipe.model.config.uses_vision:
        return "The model uses no images, so there are no heat maps."
    if not images:
        return "The post has no image, so there are no heat maps."
    return None if images[0].maps else "The model has no matching gate, so there are no heat maps."


def _token_groups(result: Mapping[str, Any], tokenizer: Any, words: Iterable[str]) -> dict[str, list[int]]:
    """The positions of the tokens that each heat map covers, by title."""
    tokens = result["evidence"]["tokens"]
    texts = [token["text"] for token in tokens]
    of_text = [i for i, token in enumerate(tokens) if not token["special"]]

    def between(opening: str, closing: str) -> list[int]:
        return [i for i in of_text if texts.index(opening) < i < texts.index(closing)]

    return {
        WHOLE_TEXT: of_text,
        f"head: {result['head']['text']}": between(HEAD_START, HEAD_END),
        f"tail: {result['tail']['text']}": between(TAIL_START, TAIL_END),
        **{f"word: {word}": _occurrences(tokenizer, texts, of_text, word) for word in words},
    }


def _occurrences(tokenizer: Any, texts: list[str], of_text: list[int], word: str) -> list[int]:
    """The positions of the tokens of a word, at all places where it occurs."""
    for spelling in (word, f" {word}"):  # some tokenizers split a word inside of a text in another way
        tokens = tokenizer.tokenize(spelling)
        pieces = [tokenizer.convert_tokens_to_string([token]).strip() or token for token in tokens]
        candidates = (of_text[start : start + len(pieces)] for start in range(len(of_text)))
        found = {i for places in candidates if [texts[i] for i in places] == pieces for i in places}
        if found:
            return sorted(found)
    raise ValueError(
        f"{word!r} is not a word of the post as the model reads it: {' '.join(texts[i] for i in of_text)!r}."
    )


def _place_of_maximum(cosine: np.ndarray) -> str:
    """Where on an image the largest value lies, such as "upper left", by thirds of its height and width."""
    row, column = np.unravel_index(cosine.argmax(), cosine.shape)
    vertical = ("upper", "middle", "lower")[3 * int(row) // cosine.shape[0]]
    horizontal = ("left", "centre", "right")[3 * int(column) // cosine.shape[1]]
    return "centre" if (vertical, horizontal) == ("middle", "centre") else f"{vertical} {horizontal}"


__all__ = ["NO_RELATION", "ExplainedImage", "Panel", "explain", "format_relation", "missing_maps"]

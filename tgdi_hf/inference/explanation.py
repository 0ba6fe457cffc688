"""Why the model said it: a figure of what the image did, and where which words were seen in it (paper, Fig. 5)."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..processing.entity_markers import HEAD_END, HEAD_START, TAIL_END, TAIL_START
from ..processing.entity_mentions import PostText
from ..processing.invalid_post import InvalidPost
from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from .heat_map import heat_map, seen_image

MOST_RELATIONS = 5
NO_RELATION = "no relation"


def said(one: Mapping[str, Any], digits: int = 2) -> str:
    """A relation and its probability; of a multi-label model there may be none."""
    return NO_RELATION if one["relation"] is None else f"{one['relation']} {one['score']:.{digits}f}"


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
    result = pipe(post, top_k=MOST_RELATIONS, evidence=True)
    if "pairs" in result:
        raise InvalidPost(f"A post to explain has one pair; expected one head and one tail, found {dict(post)!r:.80}.")
    evidence = result["evidence"]
    if not pipe.model.config.uses_vision:
        return result, []
    head, tail = ((result[name]["start"], result[name]["end"]) for name in ("head", "tail"))
    inputs = pipe.processor(
        text=[PostText(post, "post").text],
        head=[head],
        tail=[tail],
        images=[post.get("image")],
        objects=[post.get("objects")],
    )
    if "image_mask" not in inputs or not inputs["image_mask"].any():
        return result, []
    image = seen_image(pipe.processor, inputs["pixel_values"][0, int(inputs["image_mask"][0].argmax())])
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


def check_figure(path: Path) -> None:
    """Raises ValueError for a kind of figure that matplotlib does not write, before a model is loaded."""
    from matplotlib.figure import Figure

    kinds = Figure().canvas.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in kinds:
        raise ValueError(
            f"{path}: expected a name that ends in .png, .svg or .pdf; matplotlib knows {', '.join(kinds)}."
        )


def figure(result: Mapping[str, Any], images: Sequence[tuple[str, Any]]):
    r"""
    Draws what `explain` found.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: `pip install 'tgdi_hf[viz]'`.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("Figures are drawn by matplotlib: pip install 'tgdi_hf[viz]'") from None
    drawn = Figure(figsize=(3 * max(len(images), 3), 6.2 if images else 3.2), layout="constrained")
    rows = drawn.subfigures(2, 1, height_ratios=[1, 1]) if images else [drawn]
    relations, influence = rows[-1].subplots(1, 2, width_ratios=[2, 1])
    names = [one["relation"] for one in result["relations"]][::-1]
    bars = relations.barh(names, [one["score"] for one in result["relations"]][::-1], color="#3b6ea5")
    relations.bar_label(bars, fmt="%.2f", padding=3)
    relations.set(xlim=(0, 1.12), title=f"{result['head']['text']} → {result['tail']['text']}")
    text_only = result["evidence"]["text_only"]
    relations.set_xlabel(f"text alone: {said(text_only)}")
    _draw_influence(influence, result)
    if images:
        for axes, (title, image) in zip(np.ravel(rows[0].subplots(1, len(images))), images):
            axes.imshow(np.asarray(image))
            axes.set_title(title, fontsize=10)
            axes.axis("off")
    return drawn


def _draw_influence(axes, result: Mapping[str, Any]) -> None:
    """The gate's mean with its quarters, and the share of the text-oriented branch."""
    evidence, shown = result["evidence"], {}
    if evidence["matching_gate"] is not None:
        shown["matching gate"] = evidence["matching_gate"]["mean"]
    if evidence["branches"] is not None:
        shown["cross-modal branch"] = evidence["branches"]["cross_modal"]
        shown["text-oriented branch"] = evidence["branches"]["text_oriented"]
    names = list(shown)[::-1]
    bars = axes.barh(names, [shown[name] for name in names], color=["#b0b0b0"] * (len(names) - 1) + ["#e6550d"])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    if evidence["matching_gate"] is not None:
        _, low, _, high, _ = evidence["matching_gate"]["quantiles"]
        axes.plot([low, high], [len(names) - 0.68] * 2, color="black", linewidth=2)  # the middle half of the channels
    axes.set(xlim=(0, 1.15), title="influence")


__all__ = ["NO_RELATION", "check_figure", "explain", "figure", "said"]

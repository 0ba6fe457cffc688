"""An HTML page of misclassified posts, with their explanations."""

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from .explanation import WHOLE_TEXT, ExplainedImage, Panel, explain, missing_maps
from .explanation_html import COLOUR_BAR, STYLE, panels_html

IMAGE_SIZE = 224  # longer side in pixels; the page has hundreds of images

PAGE = """<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.45 system-ui, sans-serif; max-width: 62em; margin: 1.5em auto; padding: 0 1em }}
article {{ border-top: 1px solid #bbb; padding: .8em 0 }} code {{ overflow-wrap: anywhere }}
mark.head {{ background: #fdd0a2 }} mark.tail {{ background: #c6dbef }} {style}
</style><h1>{title}</h1><p>{intro}</p>{colour_bar}"""


def write_errors(
    posts: Iterable[Mapping[str, Any]],
    pipe: MultimodalRelationExtractionPipeline,
    path: str | Path,
    most: int = 200,
    total: int | None = None,
) -> int:
    r"""
    Writes a self-contained page of misclassified posts with text, entities, images, gate and heat maps.

    Args:
        posts: Posts with the names of the true `relation` and of the `predicted` one, and its `score`; see
            `tgdi_hf.evaluation.answers.errors_of`.
        pipe: The pipeline of the model that made the predictions.
        path: The file to write.
        most: The maximum number of posts on the page.
        total: The number of misclassified posts, for the introduction.

    Returns:
        The number of posts on the page.
    """
    articles, colour_bar = [], ""
    for post in islice(posts, most):
        scored = ("relation", "predicted", "score")
        answer, images = explain(pipe, {name: value for name, value in post.items() if name not in scored})
        missing = missing_maps(pipe, images)
        colour_bar = colour_bar if missing else COLOUR_BAR
        articles.append(_article(post, answer, images, missing))
    of_all = "" if total is None else f" of {total}"
    intro = f"{len(articles)}{of_all} posts that the model gets wrong. "
    intro += "<mark class=head>Head</mark>, <mark class=tail>tail</mark>."
    page = "".join([PAGE.format(title="Errors", style=STYLE, intro=intro, colour_bar=colour_bar), *articles])
    Path(path).write_text(page, encoding="utf-8")
    return len(articles)


def _article(
    post: Mapping[str, Any], answer: Mapping[str, Any], images: Sequence[ExplainedImage], missing: str | None
) -> str:
    text = post["text"] if post.get("words") is None else " ".join(post["words"])
    gate = "" if answer["gate"] is None else f" Gate {answer['gate']:.2f}."
    text_only = answer["evidence"]["text_only"]
    caption = f"<p>Caption: {html.escape(post['caption'])}</p>" if post.get("caption") else ""
    note = "" if missing is None else f" {missing}"
    return (
        f"<article><p>{_marked(text, answer)}</p><p>Real <code>{html.escape(post['relation'])}</code>, predicted "
        f"<code>{html.escape(post['predicted'])}</code> ({post['score']:.2f}). The text alone: "
        f"<code>{html.escape(text_only['relation'])}</code> ({text_only['score']:.2f}).{gate}{note}</p>{caption}"
        f"{panels_html(_panels(images))}</article>\n"
    )


def _panels(images: Sequence[ExplainedImage]) -> Iterator[Panel]:
    """The first image with all of its heat maps, each other one with that of the whole text."""
    for i, image in enumerate(images):
        yield image.seen(IMAGE_SIZE)
        titles = image.maps if i == 0 else image.maps.keys() & {WHOLE_TEXT}
        yield from (image.map(title, size=IMAGE_SIZE) for title in titles)


def _marked(text: str, answer: Mapping[str, Any]) -> str:
    """The text with head and tail marked; characters of both are marked as the head."""
    kinds = [""] * len(text)
    for name in ("tail", "head"):
        for i in range(answer[name]["start"], answer[name]["end"]):
            kinds[i] = name
    parts, start = [], 0
    for i in range(1, len(text) + 1):
        if i == len(text) or kinds[i] != kinds[start]:
            part = html.escape(text[start:i])
            parts.append(f"<mark class={kinds[start]}>{part}</mark>" if kinds[start] else part)
            start = i
    return "".join(parts)

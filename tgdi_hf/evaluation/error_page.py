"""An HTML page of misclassified posts, with their explanations."""

import base64
import html
import io
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

# An answer of the pipeline with its evidence, and titled images.
Explanation = tuple[Mapping[str, Any], list[tuple[str, Image.Image]]]

PAGE = """<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.45 system-ui, sans-serif; max-width: 62em; margin: 1.5em auto; padding: 0 1em }}
article {{ border-top: 1px solid #bbb; padding: .8em 0 }} img {{ height: 9em; margin-right: .5em }}
mark.head {{ background: #fdd0a2 }} mark.tail {{ background: #c6dbef }} figure {{ display: inline-block; margin: 0 }}
figcaption {{ font-size: .8em; max-width: 12em }} code {{ white-space: nowrap }}
</style><h1>{title}</h1><p>{intro}</p>"""


def write_errors(
    posts: Iterable[Mapping[str, Any]],
    explain: Callable[[dict[str, Any]], Explanation],
    path: str | Path,
    most: int = 200,
    total: int | None = None,
) -> int:
    r"""
    Writes a self-contained page of misclassified posts with text, entities, images, gate and heat maps.

    Args:
        posts: Posts with the names of the true `relation` and of the `predicted` one, and its `score`; see `errors_of`.
        explain: Explains the answer to a post, such as `partial(tgdi_hf.inference.explanation.explain, pipe)`.
        path: The file to write.
        most: The maximum number of posts on the page.
        total: The number of misclassified posts, for the introduction.

    Returns:
        The number of posts on the page.
    """
    articles = []
    for post in islice(posts, most):
        scored = ("relation", "predicted", "score")
        answer, images = explain({name: value for name, value in post.items() if name not in scored})
        articles.append(_article(post, answer, images))
    of_all = "" if total is None else f" of {total}"
    intro = f"{len(articles)}{of_all} posts that the model gets wrong. "
    intro += "<mark class=head>Head</mark>, <mark class=tail>tail</mark>."
    Path(path).write_text("".join([PAGE.format(title="Errors", intro=intro), *articles]), encoding="utf-8")
    return len(articles)


def _article(post: Mapping[str, Any], answer: Mapping[str, Any], images: list[tuple[str, Image.Image]]) -> str:
    text = post["text"] if post.get("words") is None else " ".join(post["words"])
    gate = "" if answer["gate"] is None else f" Gate {answer['gate']:.2f}."
    text_only = answer["evidence"]["text_only"]
    caption = f"<p>Caption: {html.escape(post['caption'])}</p>" if post.get("caption") else ""
    figures = "".join(
        f'<figure><img alt="" src="{_data_url(image)}"><figcaption>{html.escape(title)}</figcaption></figure>'
        for title, image in images
    )
    return (
        f"<article><p>{_marked(text, answer)}</p><p>Real <code>{html.escape(post['relation'])}</code>, predicted "
        f"<code>{html.escape(post['predicted'])}</code> ({post['score']:.2f}). The text alone: "
        f"<code>{html.escape(text_only['relation'])}</code> ({text_only['score']:.2f}).{gate}</p>{caption}{figures}"
        "</article>\n"
    )


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


def _data_url(image: Image.Image) -> str:
    content = io.BytesIO()
    image.convert("RGB").save(content, "JPEG", quality=80)
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()

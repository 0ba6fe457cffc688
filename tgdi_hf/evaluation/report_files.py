"""A report as files: JSON, Markdown, figures, and a page of errors to leaf through."""

import base64
import html
import io
import json
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from PIL import Image

from ..inference.explanation import explain
from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from .scoring import as_markdown

PAGE = """<!doctype html><meta charset=utf-8><meta name=viewport content="width=device-width">
<title>{title}</title><style>
body {{ font: 16px/1.45 system-ui, sans-serif; max-width: 62em; margin: 1.5em auto; padding: 0 1em }}
article {{ border-top: 1px solid #bbb; padding: .8em 0 }} img {{ height: 9em; margin-right: .5em }}
mark.head {{ background: #fdd0a2 }} mark.tail {{ background: #c6dbef }} figure {{ display: inline-block; margin: 0 }}
figcaption {{ font-size: .8em; max-width: 12em }} code {{ white-space: nowrap }}
</style><h1>{title}</h1><p>{intro}</p>"""


def write_report(report: Mapping[str, Any], folder: str | Path) -> bool:
    r"""
    Writes `report.json`, `report.md` and, where matplotlib is installed (`pip install 'tgdi_hf[viz]'`),
    `calibration.png` and `confusion.png`.

    Returns:
        Whether there are figures.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(as_markdown(report), encoding="utf-8")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    for name, draw, size in (("calibration", _draw_calibration, (5, 5)), ("confusion", _draw_confusion, (10, 9))):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots(), report)
        figure.savefig(folder / f"{name}.png", dpi=110)
    return True


def _draw_calibration(axes, report: Mapping[str, Any]) -> None:
    bins = report["calibration"]["bins"]
    sizes = [20 + 300 * one["rows"] / report["rows"] for one in bins]
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    axes.scatter([one["confidence"] for one in bins], [one["accuracy"] for one in bins], sizes, color="#3b6ea5")
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel="confidence", ylabel="accuracy")
    axes.set_title(f"expected calibration error {report['calibration']['ece']:.3f}")


def _draw_confusion(axes, report: Mapping[str, Any]) -> None:
    matrix = report["confusion"]["matrix"]
    shares = [[count / max(sum(row), 1) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = report["confusion"]["names"]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    for i, row in enumerate(matrix):
        for j, count in enumerate(row):
            if count:
                color = "white" if shares[i][j] > 0.5 else "black"
                axes.text(j, i, count, ha="center", va="center", fontsize=6, color=color)
    axes.set(xlabel="predicted", ylabel="real")


def write_errors(
    pipe: MultimodalRelationExtractionPipeline,
    posts: Iterable[Mapping[str, Any]],
    path: str | Path,
    most: int = 200,
    total: int | None = None,
) -> int:
    r"""
    Writes a page of posts that the model gets wrong, with text, entities, image, gate and heat maps; nothing on it
    comes from elsewhere.

    Args:
        pipe: The pipeline.
        posts: With head, tail, the names of the real `relation` and of the `predicted` one, and its `score`; see
            `errors_of`.
        path: Of the page.
        most: How many to show.
        total: How many there are, to be said on the page.

    Returns:
        How many there are on it.
    """
    found = []
    for post in islice(posts, most):
        known = ("relation", "predicted", "score")
        answer, images = explain(pipe, {name: value for name, value in post.items() if name not in known})
        found.append(_article(post, answer, images))
    of_all = "" if total is None else f" of {total}"
    intro = f"{len(found)}{of_all} posts that the model gets wrong. "
    intro += "<mark class=head>Head</mark>, <mark class=tail>tail</mark>."
    Path(path).write_text("".join([PAGE.format(title="Errors", intro=intro), *found]), encoding="utf-8")
    return len(found)


def _article(post: Mapping[str, Any], answer: Mapping[str, Any], images: list[tuple[str, Image.Image]]) -> str:
    text = post["text"] if post.get("words") is None else " ".join(post["words"])
    gate = "" if answer["gate"] is None else f" Gate {answer['gate']:.2f}."
    alone = answer["evidence"]["text_only"]
    caption = f"<p>Caption: {html.escape(post['caption'])}</p>" if post.get("caption") else ""
    shown = "".join(
        f'<figure><img alt="" src="{_data_url(image)}"><figcaption>{html.escape(title)}</figcaption></figure>'
        for title, image in images
    )
    return (
        f"<article><p>{_marked(text, answer)}</p><p>Real <code>{html.escape(post['relation'])}</code>, predicted "
        f"<code>{html.escape(post['predicted'])}</code> ({post['score']:.2f}). The text alone: "
        f"<code>{html.escape(alone['relation'])}</code> ({alone['score']:.2f}).{gate}</p>{caption}{shown}</article>\n"
    )


def _marked(text: str, answer: Mapping[str, Any]) -> str:
    """The text with head and tail marked; where they overlap, the head goes first."""
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

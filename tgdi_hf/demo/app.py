"""The web page of `tgdi app CHECKPOINT`, also for a Hugging Face Space (see `examples/space/`)."""

import html
import os
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np

from ..inference.explanation import NO_RELATION, ExplainedImage, explain, format_relation, missing_maps
from ..inference.explanation_html import COLOUR_BAR, STYLE, panels_html
from ..processing.invalid_post import InvalidPost
from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from .corpus import generate_rows
from .corpus_schema import DEFAULT_ROWS

# Fonts of the visitor's system, so that the page loads nothing from other servers.
FONTS = ("system-ui", "sans-serif")
MONOSPACE = ("ui-monospace", "monospace")
CSS = """
.message:empty { display: none }
.message [role=alert] { border-left: 4px solid #b42318; background: #fef3f2; color: #7a271a; padding: 10px 14px;
  border-radius: 4px; overflow-wrap: anywhere }
.share { display: grid; grid-template-columns: 1fr 3em; gap: 0 10px; align-items: center }
.share meter { width: 100%; height: 18px }
.share .name { grid-column: 1 / -1; margin-top: 4px; overflow-wrap: anywhere }
.answer { font-size: 1.25em; overflow-wrap: anywhere }
footer { display: none !important }
"""
CSS += STYLE
# Limits of a request, which occupies the model while it runs.
MOST_CHARACTERS, MOST_ENTITIES = 10_000, 16
# Posts that need their image, out of which the examples are selected.
CANDIDATES = 12
PANEL_SIZE = 280  # longer side of an image in pixels; two fit beside each other
# The images of a post with their heat maps, by the words that the maps are of.
Maps = dict[str, list[tuple[ExplainedImage, np.ndarray]]]
PLACEHOLDER = "Write a post or choose an example; the prediction appears here."


def build_app(pipe: MultimodalRelationExtractionPipeline, title: str, examples: list[dict[str, Any]]) -> gr.Blocks:
    r"""
    Builds the page.

    Args:
        pipe: The pipeline.
        title: Title of the page.
        examples: Posts with `text`, `head`, `tail`, and optionally `image` (a path) and `caption`.

    Returns:
        `gradio.Blocks`; `launch` starts it.
    """
    # Uploads are deleted after an hour.
    with gr.Blocks(title=title, analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown(
            f"# {html.escape(title)}\nWhich relation holds between two entities of a post? The prediction uses the "
            "text and, if there is one, the image."
        )
        with gr.Row():
            with gr.Column(min_width=300):
                text = gr.Textbox(label="Post", lines=3, placeholder="JFK and Obama at Harvard", elem_id="text")
                with gr.Row():
                    head = gr.Textbox(label="Head", info="as it occurs in the post", min_width=130, elem_id="head")
                    tail = gr.Textbox(label="Tail", info="as it occurs in the post", min_width=130, elem_id="tail")
                image = gr.Image(
                    label="Image (optional)",
                    type="filepath",
                    height=240,
                    sources=["upload", "clipboard"],
                    elem_id="image",
                )
                # Gradio would decode the upload; the pipeline does so with errors that name the cause.
                image.preprocess = lambda payload: _check_upload(payload, image.GRADIO_CACHE)  # type: ignore[method-assign]  # gradio has no option for it
                caption = gr.Textbox(label="Caption of the image (optional)", elem_id="caption")
                ask = gr.Button("Which relation?", variant="primary", elem_id="ask")
                with gr.Accordion("All pairs of several entities", open=False):
                    entities = gr.Textbox(label="Entities", info="one per line", lines=3, elem_id="entities")
                    all_pairs = gr.Button("List all pairs", elem_id="all_pairs")
            with gr.Column(min_width=300):
                message = gr.HTML(elem_classes="message", elem_id="message")
                answer = gr.HTML(PLACEHOLDER, elem_id="answer")
                influence = gr.HTML(elem_id="influence")
                word = gr.Dropdown(label="Where in the images is", visible=False, elem_id="word")
                heat = gr.HTML(visible=False, elem_id="heat")
                pairs = gr.HTML(elem_id="pairs")
        seen = gr.State()
        outputs = [message, answer, influence, word, heat, pairs, seen]
        one = [text, head, tail, image, caption]
        ask.click(lambda *values: show(pipe, *values), one, outputs, api_name="relation")
        for box in (head, tail, caption):
            box.submit(lambda *values: show(pipe, *values), one, outputs, api_visibility="private")
        many = [text, entities, image, caption]
        all_pairs.click(lambda *values: show_pairs(pipe, *values), many, outputs, api_name="pairs")
        word.change(draw_heat_maps, [word, seen], heat, api_visibility="private")
        gr.Examples(
            [[post["text"], post["head"], post["tail"], post.get("image"), post.get("caption")] for post in examples],
            inputs=one,
            outputs=outputs,
            fn=lambda *values: show(pipe, *values),
            run_on_click=True,
            cache_examples=False,
            example_labels=[
                f"{post['head']} → {post['tail']}, {'with' if post.get('image') else 'without'} image"
                for post in examples
            ],
            label="Examples",
        )
    return page


def show(pipe, text: str, head: str, tail: str, image: str | None, caption: str | None) -> list[Any]:
    """Predicts the relation of one entity pair; returns the values of the page's outputs in order."""
    post = {"text": text, "head": head, "tail": tail, "image": _read_upload(image), "caption": caption or None}
    try:
        _check_size(text=text, head=head, tail=tail, caption=caption)
        for name, mention in (("head", head), ("tail", tail)):
            if not (mention or "").strip():
                raise InvalidPost(f"enter the {name} entity as it occurs in the post.", name)
        result, images = explain(pipe, post)
    except InvalidPost as error:
        return _show_error(error)
    maps = _maps_by_words(images, result["evidence"]["tokens"])
    first = next(iter(maps), None)
    choice = gr.Dropdown(list(maps), value=first, visible=bool(maps))
    missing = missing_maps(pipe, images)
    notes = [] if missing is None else [missing]
    if _is_truncated(pipe.processor, text, result):
        notes.append("The post exceeds the model's maximum length and was truncated around the two entities.")
    return ["", _answer(result), _influence(result, notes), choice, draw_heat_maps(first, maps), "", maps]


def _maps_by_words(images: list[ExplainedImage], tokens: list[dict[str, Any]]) -> Maps:
    """The heat maps of all images for the whole text, for head and tail, and for each token of the text."""
    maps: Maps = {}
    for image in images:
        for title, cosine in image.maps.items():
            maps.setdefault(title, []).append((image, cosine))
    for i, token in enumerate(tokens):
        if not token["special"]:
            found = [(image, image.cosine[:, :, i]) for image in images if image.cosine is not None]
            maps[f"{i}: {token['text']}"] = found
    return maps


def _check_size(**texts: str | None) -> None:
    for name, text in texts.items():
        if text and len(text) > MOST_CHARACTERS:
            raise InvalidPost(f"{len(text):,} characters; expected at most {MOST_CHARACTERS:,}.", name)


def _is_truncated(processor, text: str, result: dict[str, Any]) -> bool:
    """Whether the text was truncated: a complete text with entity markers has more tokens than the plain text."""
    spans = {name: [(result[name]["start"], result[name]["end"])] for name in ("head", "tail")}
    length = processor(text=[text], **spans)["input_ids"].shape[1]
    return length < len(processor.tokenizer(text, verbose=False)["input_ids"])


def _check_upload(payload: Any, folder: str) -> str | None:
    """Returns the path of an upload; a client can send any path, so paths outside the uploads are refused."""
    if payload is None:
        return None
    path = Path(payload.path or "").resolve()
    if not path.is_relative_to(Path(folder).resolve()) or not path.is_file():
        raise gr.Error("image: expected an image that was uploaded to this page.")
    return payload.path


def _read_upload(path: str | None) -> dict[str, bytes] | None:
    """Reads an upload; without its path, which error messages would disclose."""
    if not path:
        return None
    with open(path, "rb") as file:
        return {"bytes": file.read()}


def show_pairs(pipe, text: str, entities: str, image: str | None, caption: str | None) -> list[Any]:
    """Predicts the relations of all entity pairs; returns the values of the page's outputs in order."""
    mentions = [line.strip() for line in (entities or "").splitlines() if line.strip()]
    post = {"text": text, "image": _read_upload(image), "caption": caption or None}
    try:
        _check_size(text=text, entities=entities, caption=caption)
        if len(mentions) > MOST_ENTITIES:
            raise InvalidPost(f"{len(mentions)} entities; expected at most {MOST_ENTITIES}.", "entities")
        pairs = pipe({**post, "entities": mentions})["pairs"]
    except InvalidPost as error:
        return _show_error(error)
    negative = pipe.model.config.find_negative()
    pairs = sorted(pairs, key=lambda one: (one["relation"] in (None, negative), -(one["score"] or 0)))
    rows = "".join(
        f"<div class=name>{_escaped(one['head'])} → {_escaped(one['tail'])}: "
        f"<b>{html.escape(one['relation'] or NO_RELATION)}</b></div>{_meter(one['score'] or 0, one['relation'] or '')}"
        for one in pairs
    )
    hidden = [gr.Dropdown([], value=None, visible=False), gr.HTML(visible=False)]
    return ["", "", "", *hidden, f"<div class=share>{rows}</div>", {}]


def draw_heat_maps(words: str | None, maps: Maps | None) -> gr.HTML:
    """Draws the images with their heat maps of the chosen words."""
    if not words or not maps or words not in maps:
        return gr.HTML(visible=False)
    panels = [
        panel
        for image, cosine in maps[words]
        for panel in (image.seen(PANEL_SIZE), image.map(words, cosine, PANEL_SIZE))
    ]
    return gr.HTML(panels_html(panels) + COLOUR_BAR, visible=True)


def example_posts(pipe: MultimodalRelationExtractionPipeline, folder: str) -> list[dict[str, Any]]:
    """
    Selects posts of the embedded corpus: three that need their image, those where it changes this model's prediction
    first, one with an image that its text does not need, and one without image.

    Args:
        pipe: The pipeline.
        folder: Where the images are written.
    """
    needed: list[dict[str, Any]] = []
    idle: list[dict[str, Any]] = []
    without: list[dict[str, Any]] = []
    # The split is generated row by row; all three kinds are among its first rows.
    for row in generate_rows("test", DEFAULT_ROWS["test"]):
        if row["image"] is None:
            without.append(row)
        else:
            (needed if row["needs_image"] else idle).append(row)
        if len(needed) >= CANDIDATES and idle and without:
            break
    candidates = [_example(row, folder) for row in needed[:CANDIDATES]]
    if pipe.model.config.uses_vision:
        negative = pipe.model.config.find_negative()
        results = pipe(candidates, evidence=True)
        order = [
            (result["evidence"]["text_only"]["relation"] == result["relation"], result["relation"] in (None, negative))
            for result in results
        ]
        candidates = [candidates[i] for i in sorted(range(len(candidates)), key=order.__getitem__)]
    return [*candidates[:3], _example(idle[0], folder), _example(without[0], folder)]


def _example(row: dict[str, Any], folder: str) -> dict[str, Any]:
    path = None
    if row["image"] is not None:
        path = os.path.join(folder, f"{row['id']}.png")
        Path(path).write_bytes(row["image"]["bytes"])
    mentions = {name: row["text"][slice(*row[name])] for name in ("head", "tail")}
    return {"text": row["text"], **mentions, "image": path, "caption": row["caption"]}


def launch_options() -> dict[str, Any]:
    """Options of `gradio.Blocks.launch` for the appearance of the page."""
    return {
        "theme": gr.themes.Default(font=FONTS, font_mono=MONOSPACE),
        "css": CSS,
        "show_error": True,
        "max_file_size": "10mb",
    }


def _show_error(error: InvalidPost) -> list[Any]:
    field = html.escape(error.field)
    # Removes the number of the only post, and the field, which the page shows in bold.
    text = str(error).removeprefix("post 0").lstrip(":, ").removeprefix(error.field).lstrip(":, ")
    text = html.escape(text)
    hidden = [gr.Dropdown([], value=None, visible=False), gr.HTML(visible=False)]
    return [f"<div role=alert><b>{field}</b>: {text}</div>", "", "", *hidden, "", {}]


def _answer(result: dict[str, Any]) -> str:
    rows = "".join(
        f"<div class=name>{html.escape(one['relation'])}</div>{_meter(one['score'], one['relation'])}"
        for one in result["relations"]
    )
    title = f"{_escaped(result['head'])} → {_escaped(result['tail'])}"
    relation = html.escape(result["relation"] or NO_RELATION)
    return f"<p class=answer>{title}: <b>{relation}</b></p><div class=share>{rows}</div>"


def _influence(result: dict[str, Any], notes: list[str]) -> str:
    evidence, rows = result["evidence"], ""
    if evidence["matching_gate"] is not None:
        label = "Image belongs to text" if evidence["matching_gate"]["is_probability"] else "Matching gate"
        rows += f"<div class=name>{label}</div>{_meter(evidence['matching_gate']['mean'], label.lower())}"
    if evidence["branches"] is not None:
        for name, share in evidence["branches"].items():
            label = f"{name.replace('_', '-').capitalize()} branch"
            rows += f"<div class=name>{label}</div>{_meter(share, label)}"
    alone = evidence["text_only"]
    return (
        f"<h3>Why</h3><div class=share>{rows}</div><p>Prediction from the text alone: "
        f"<b>{html.escape(format_relation(alone))}</b>. {' '.join(notes)}</p>"
    )


def _meter(value: float, label: str) -> str:
    text = f"{value:.2f}"
    return f'<meter min=0 max=1 value="{value:.4f}" aria-label="{html.escape(label)}">{text}</meter><div>{text}</div>'


def _escaped(entity: dict[str, Any]) -> str:
    return html.escape(entity["text"])


def run_app(pipe: MultimodalRelationExtractionPipeline, title: str, folder: str, **options: Any) -> None:
    """Serves the page until it is interrupted; the images of the examples are written to `folder`."""
    page = build_app(pipe, f"TGDI · {title}", example_posts(pipe, folder))
    page.launch(**{"allowed_paths": [folder], **launch_options(), **options})

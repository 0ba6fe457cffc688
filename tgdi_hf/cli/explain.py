"""`tgdi explain`."""

from pathlib import Path
from typing import Annotated

import typer

from .arguments import object_of
from .options import Checkpoint, Revision
from .pipelines import load_pipeline


def explain(
    checkpoint: Checkpoint,
    output: Annotated[Path, typer.Argument(help="Figure to write: a .png, .svg or .pdf file.")],
    text: Annotated[str, typer.Option(help="Text of the post.")],
    head: Annotated[str, typer.Option(help="Head entity as it occurs, once, in the text; or its span, '[0, 3]'.")],
    tail: Annotated[str, typer.Option(help="Tail entity, likewise.")],
    image: Annotated[Path | None, typer.Option(help="Image of the post.")] = None,
    objects: Annotated[
        list[str],
        typer.Option(
            "--object",
            help="Box of an object on the image in pixels, '[x0, y0, x1, y1]', or path of an image of its own; may be "
            "repeated.",
        ),
    ] = [],  # noqa: B006 - typer copies it
    caption: Annotated[str | None, typer.Option(help="Caption of the image.")] = None,
    revision: Revision = None,
    words: Annotated[
        list[str],
        typer.Option("--word", help="Another word of the text to locate in the images; may be repeated."),
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Draw a figure that explains a prediction: scores, matching gate, branches, and heat maps of text over images.

    Example: tgdi explain runs/demo why.png --text "Ann Lee meets Bob" --head "Ann Lee" --tail Bob
    """
    from ..extras import require
    from ..inference.explanation import explain as explain_post
    from ..inference.explanation import format_relation, missing_maps
    from ..inference.explanation_figure import check_figure, figure

    require("matplotlib", "viz", "A figure")
    check_figure(output)
    parts = [object_of(value) for value in objects]
    post = {"text": text, "head": head, "tail": tail, "image": image, "objects": parts, "caption": caption}
    pipe = load_pipeline(checkpoint, bf16=False, revision=revision)
    result, images = explain_post(pipe, post, words)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure(result, images).savefig(output, dpi=150)
    note = missing_maps(pipe, images)
    typer.echo(f"{format_relation(result, digits=3)}; figure in {output}{'' if note is None else f'. {note}'}")

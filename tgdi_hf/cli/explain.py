"""`tgdi explain`."""

from pathlib import Path
from typing import Annotated

import typer

from .options import Checkpoint, Revision
from .pipelines import load_pipeline


def explain(
    checkpoint: Checkpoint,
    output: Annotated[Path, typer.Argument(help="Figure to write: a .png, .svg or .pdf file.")],
    text: Annotated[str, typer.Option(help="Text of the post.")],
    head: Annotated[str, typer.Option(help="Head entity as it occurs, once, in the text; or its span, '[0, 3]'.")],
    tail: Annotated[str, typer.Option(help="Tail entity, likewise.")],
    image: Annotated[Path | None, typer.Option(help="Image of the post.")] = None,
    caption: Annotated[str | None, typer.Option(help="Caption of the image.")] = None,
    revision: Revision = None,
    words: Annotated[
        list[str],
        typer.Option("--word", help="Another word of the text to locate in the image; may be repeated."),
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Draw a figure that explains a prediction: scores, matching gate, branches, and heat maps of words over the image.

    Example: tgdi explain runs/demo why.png --text "Ann Lee meets Bob" --head "Ann Lee" --tail Bob
    """
    from ..extras import require
    from ..inference.explanation import explain as explain_post
    from ..inference.explanation import format_relation
    from ..inference.explanation_figure import check_figure, figure

    require("matplotlib", "viz", "A figure")
    check_figure(output)
    post = {"text": text, "head": head, "tail": tail, "image": image, "caption": caption}
    result, images = explain_post(load_pipeline(checkpoint, bf16=False, revision=revision), post, words)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure(result, images).savefig(output, dpi=150)
    typer.echo(f"{format_relation(result, digits=3)}; figure in {output}")

"""`tgdi import`."""

from pathlib import Path
from typing import Annotated

import typer

from ..annotations.formats import Format, Unit


def import_annotations(
    export: Annotated[
        Path, typer.Argument(metavar="FILE", help="Export of the annotation tool: a file, or a folder of files.")
    ],
    output: Annotated[Path, typer.Argument(metavar="OUT", help="New folder for the posts.")],
    format: Annotated[Format, typer.Option(help="Format of the export.")],
    annotators: Annotated[
        list[str],
        typer.Option(
            metavar="RULE",
            help="Several annotators of a post: 'majority', 'first' (the oldest annotation), or the name or id of an "
            "annotator; may be repeated, in order of preference.",
            show_default="majority",
        ),
    ] = [],  # noqa: B006 - typer copies it
    symmetric: Annotated[
        list[str],
        typer.Option(
            metavar="RELATION",
            help="Symmetric relation; may be repeated. 'none': no relation is symmetric.",
            show_default="MNRE's",
        ),
    ] = [],  # noqa: B006 - typer copies it
    negatives: Annotated[
        str, typer.Option(help="Unrelated pairs to list, in both orders: 'all', 'none', or 'sample:N' pairs per post.")
    ] = "all",
    negative: Annotated[str, typer.Option(metavar="LABEL", help="Label for no relation.")] = "None",
    multi_label: Annotated[bool, typer.Option("--multi-label", help="Keep several relations per pair.")] = False,
    split: Annotated[tuple[float, float, float], typer.Option(help="Shares of train, validation and test.")] = (
        0.8,
        0.1,
        0.1,
    ),
    seed: Annotated[int, typer.Option(help="Seed of the split and of the sample of unrelated pairs.")] = 0,
    images: Annotated[
        Path | None, typer.Option(help="Folder with the image files.", show_default="that of the export")
    ] = None,
    offsets: Annotated[
        Unit | None, typer.Option(help="Unit that the offsets count.", show_default="that of the tool")
    ] = None,
    text_key: Annotated[str | None, typer.Option(help="Key of the text.", show_default="text")] = None,
    image_key: Annotated[str | None, typer.Option(help="Key of the image.", show_default="image")] = None,
    attribute: Annotated[str, typer.Option(help="Custom attribute with the relations (docbin only).")] = "rel",
    predictions: Annotated[
        bool,
        typer.Option("--predictions", help="Import the predictions of tasks without annotations (label-studio only)."),
    ] = False,
) -> None:
    """Convert relation annotations to posts to train on; what cannot be used is listed in OUT/report.jsonl.

    Example: tgdi import export.json tweets --format label-studio --images photos --symmetric none
    """
    from ..annotations.import_annotations import import_annotations as import_export

    done = import_export(
        export,
        output,
        format,
        annotators=annotators or "majority",
        symmetric=[name for name in symmetric if name != "none"] if symmetric else None,
        negatives=negatives,
        negative=negative,
        multi_label=multi_label,
        split=split,
        seed=seed,
        images=images,
        offsets=offsets,
        text_key=text_key,
        image_key=image_key,
        attribute=attribute,
        predictions=predictions,
    )
    typer.echo(done.summary())
    typer.echo(f"Wrote the posts to {output}; to train on them: tgdi train {output} RUN")

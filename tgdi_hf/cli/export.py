"""`tgdi export`."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from .options import Checkpoint, Revision


class Format(StrEnum):
    """Formats of exported graphs."""

    onnx = "onnx"
    openvino = "openvino"


def export(
    checkpoint: Checkpoint,
    output: Annotated[Path, typer.Argument(help="Folder to write; new or empty.")],
    format: Annotated[Format, typer.Option(help="Format of the graphs.")] = Format.onnx,
    int8: Annotated[bool, typer.Option("--int8", help="Store weights as 8-bit integers.")] = False,
    single_graph: Annotated[
        bool, typer.Option("--single-graph", help="One graph instead of one for images and one for the rest.")
    ] = False,
    opset: Annotated[int | None, typer.Option(help="ONNX opset, 18 to 23.", show_default="20")] = None,
    check: Annotated[
        Path | None,
        typer.Option(
            help="Posts to compare with the checkpoint: folder written by `tgdi prepare`, saved DatasetDict, or MNRE.",
            show_default="none",
        ),
    ] = None,
    split: Annotated[str, typer.Option(help="Split of --check.")] = "validation",
    force: Annotated[
        bool,
        typer.Option(
            "--force",
            help="Write 8-bit weights that change over 1 % of the answers or are slow on this CPU.",
        ),
    ] = False,
    revision: Revision = None,
) -> None:
    """Export a model for ONNX Runtime or OpenVINO, which `tgdi predict` and servers take in place of a checkpoint.

    Example: tgdi export runs/demo exported --int8 --check path/to/mnre
    """
    from ..checkpoints import check_checkpoint, explain_hub_errors
    from ..export.exporting import check_export_options, export_model

    check_checkpoint(checkpoint, revision)
    check_export_options(output, format.value, int8, opset, force)
    rows = None if check is None else _rows(check, split)
    from ..evaluation.checkpoint_loading import check_model_type
    from ..modeling.modeling_tgdi import TGDIForRelationExtraction
    from ..processing.processing_tgdi import TGDIProcessor

    at: dict[str, Any] = {} if revision is None else {"revision": revision}
    with explain_hub_errors(checkpoint):
        check_model_type(checkpoint, revision)
        model = TGDIForRelationExtraction.from_pretrained(checkpoint, dtype="float32", **at)
        processor = TGDIProcessor.from_pretrained(checkpoint, **at)
    done = export_model(
        model,
        processor,
        output,
        format.value,
        int8=int8,
        single_graph=single_graph,
        opset=opset,
        check=rows,
        force=force,
    )
    size = sum(file.stat().st_size for file in output.iterdir()) / 1e6
    typer.echo(f"Wrote {output} ({size:,.1f} MB)")
    if done is not None:
        typer.echo(
            f"{split}, {done.rows:,} rows: largest difference of logits {done.largest_difference:.2g}, "
            f"{done.changed:,} answers changed"
        )


def _rows(data: Path, split: str) -> Any:
    from ..data.loading import load_data
    from .arguments import check_split

    dataset = load_data(data, objects="none")
    check_split(data, dataset, split)
    return dataset[split]

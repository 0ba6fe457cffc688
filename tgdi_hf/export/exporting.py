"""Exporting a model: tracing its graphs, quantising them, and writing the folder."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib.metadata import version
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import transformers

from ..extras import is_installed
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..preparation.checkpoint_identity import weights_digest
from ..processing.processing_tgdi import TGDIProcessor
from .checking import ExportCheck, check_export
from .graphs import Graph, fixed_slots, graphs_of
from .manifest import FORMATS, ONNX, OPENVINO, SUFFIXES, ExportManifest
from .quantization import check_quantization, cpu_flags, quantize, slow_int8
from .weight_folding import fold_transposed_weights

OPSETS = range(18, 24)  # what the exporter of torch translates to
DEFAULT_OPSET = 20
PACKAGES = {ONNX: ("onnx", "onnxscript", "onnxruntime"), OPENVINO: ("openvino",)}
LARGEST_CHANGED = 0.01  # share of the answers that quantisation may change


def check_export_options(
    folder: str | Path, format: str = ONNX, int8: bool = False, opset: int | None = None, force: bool = False
) -> None:
    r"""
    Checks everything that can be checked before a model is loaded; see `export_model` for the arguments.

    Raises:
        ImportError: A package that the format requires is not installed.
        ValueError: An unknown format or an opset that it does not have, or 8-bit integers on a CPU that is not faster
            with them.
        FileExistsError: The folder exists and is not empty.
    """
    if format not in FORMATS:
        raise ValueError(f"`format` is {format!r}; expected one of {', '.join(map(repr, FORMATS))}.")
    if opset is not None and format != ONNX:
        raise ValueError(f"`opset` is {opset}, but the format {format!r} has no opsets. Leave it out.")
    if opset is not None and opset not in OPSETS:
        raise ValueError(f"`opset` is {opset}; expected {OPSETS[0]} to {OPSETS[-1]}, or none for {DEFAULT_OPSET}.")
    if missing := [package for package in PACKAGES[format] if not is_installed(package)]:
        raise ImportError(f"Exporting to {format} requires {', '.join(missing)}: pip install 'tgdi_hf[{format}]'")
    if int8:
        check_quantization(format)
        if (reason := slow_int8(cpu_flags())) and not force:
            raise ValueError(
                f"8-bit weights would be slower on this machine, whose CPU {reason}. Export without int8; or, for "
                "another machine, force it."
            )
    target = Path(folder).expanduser()
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        raise FileExistsError(f"{target} exists; expected the name of a new folder, or an empty one.")


def export_model(
    model: TGDIForRelationExtraction,
    processor: TGDIProcessor,
    folder: str | Path,
    format: str = ONNX,
    *,
    int8: bool = False,
    single_graph: bool = False,
    opset: int | None = None,
    check: Any = None,
    force: bool = False,
) -> ExportCheck | None:
    r"""
    Exports a model to a folder that `ExportedTGDI` and `load_pipeline` read: its graphs, its configuration, its
    processor, and `tgdi_export.json`.

    Args:
        model: A fine-tuned model in single precision. It is put in evaluation mode.
        processor: Its processor.
        folder: The folder to write; if anything fails, it is not.
        format: `"onnx"` or `"openvino"`.
        int8: Store the weights of matrix products as 8-bit integers.
        single_graph: One graph from pixels to logits. By default there are two, `vision` and `fusion`, so that an image
            is encoded once for all pairs of its post.
        opset: The ONNX opset, 18 to 23; by default 20.
        check: Rows, with which the graphs are compared with the model, see `check_export`.
        force: Write 8-bit weights even if they change more than one per cent of the answers to `check`, or this
            machine's CPU has no instructions for them.

    Returns:
        The comparison, if there are rows to check.

    Raises:
        ImportError, FileExistsError: See `check_export_options`.
        ValueError: See `check_export_options`; the model is not in single precision, or can't be traced; or 8-bit
            weights change too many answers.
    """
    check_export_options(folder, format, int8, opset, force)
    if str(model.dtype) != "torch.float32":
        raise ValueError(f"The model has the dtype {model.dtype}; load it with `dtype=torch.float32` to export it.")
    if getattr(model.config, "quantization_config", None) is not None:
        raise ValueError("The model is quantised already; export the checkpoint that it was quantised from.")
    target = Path(folder).expanduser().absolute()
    opset = (opset or DEFAULT_OPSET) if format == ONNX else None
    model.eval()
    graphs = graphs_of(model, single_graph)
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=".exporting-", dir=target.parent) as beside:
        new = Path(beside, "new")
        new.mkdir()
        for graph in graphs:
            _write_graph(graph, new, format, int8, opset)
        model.config.save_pretrained(new)
        processor.save_pretrained(new)
        manifest = _manifest(model, graphs, format, int8, opset)
        manifest.write(new)
        done = None
        if check is not None:
            done = check_export(new, model, processor, check)
            if int8 and done.changed > LARGEST_CHANGED * done.rows and not force:
                raise ValueError(
                    f"8-bit weights change {done.changed} of {done.rows} answers, more than {LARGEST_CHANGED:.0%} "
                    f"(largest difference of logits: {done.largest_difference:.2g}); nothing was written. Export "
                    "without int8, or force it."
                )
            ExportManifest(**{**vars(manifest), "check": done._asdict()}).write(new)
        if target.exists():
            target.rmdir()  # it is empty
        new.rename(target)
    return done


def _write_graph(graph: Graph, folder: Path, format: str, int8: bool, opset: int | None) -> None:
    from transformers import exporters

    with _quiet():
        exporter: Any
        config: Any
        if format == ONNX:
            exporter = exporters.OnnxExporter()
            config = exporters.OnnxConfig(opset_version=opset, dynamic_shapes=graph.dynamic)
        else:
            exporter = exporters.OpenVINOExporter()
            config = exporters.OpenVINOConfig(stateful=False, dynamic_shapes=graph.dynamic)
        try:
            program = exporter.export(graph.module, dict(graph.inputs), config).program
        except Exception as error:  # whatever an encoder's code meets in torch.export and in the translation
            reason = " ".join(str(error).split())[:400]
            encoders = [getattr(graph.module.config, f"{name}_config").model_type for name in ("text", "vision")]
            raise ValueError(
                f"The graph {graph.name!r} can't be exported to {format} with the encoders {' and '.join(encoders)} "
                f"and transformers {transformers.__version__}. {type(error).__name__}: {reason}"
            ) from error
        if format == ONNX:
            fold_transposed_weights(program)
        if int8:
            program = quantize(program, dict(graph.inputs), format)
        exporter.save_program(program, folder / f"{graph.name}{SUFFIXES[format]}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides what the exporters print: their steps, deprecated functions that they call, and packages they lack."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def _manifest(
    model: TGDIForRelationExtraction, graphs: list[Graph], format: str, int8: bool, opset: int | None
) -> ExportManifest:
    inputs = graphs[-1].inputs
    image = inputs.get("vision_features", inputs.get("pixel_values"))
    return ExportManifest(
        format=format,
        graphs=[graph.name for graph in graphs],
        int8=int8,
        opset=opset,
        slots=fixed_slots(model) if image is not None else None,
        image_shape=[] if image is None else [*image.shape[1:]],
        weights=weights_digest(model),
        packages={name: version(name) for name in ("transformers", "torch", *PACKAGES[format])},
    )

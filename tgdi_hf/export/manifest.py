"""The file in an exported folder that says what its graphs are and where they come from."""

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import __version__
from ..checkpoints import EXPORT_MANIFEST, is_export

SCHEMA = 1  # of the folder: its files, and the inputs and outputs of its graphs
ONNX, OPENVINO = "onnx", "openvino"
FORMATS = (ONNX, OPENVINO)
SUFFIXES = {ONNX: ".onnx", OPENVINO: ".xml"}


@dataclass(frozen=True)
class ExportManifest:
    r"""
    Args:
        format: `"onnx"` or `"openvino"`.
        graphs: The names of the graphs, which are those of their files: `vision` and `fusion`, or `model`.
        int8: Whether the weights are stored as 8-bit integers.
        opset: The ONNX opset, if that is the format.
        slots: The number of image slots per post if the graph fixes it, otherwise `None`.
        image_shape: The shape of the input for one image: `(tokens, d_v)`, or `(3, H, W)` for a single graph; empty if
            the model reads no images.
        weights: Digest of the weights of the checkpoint.
        packages: Versions of the packages that wrote the graphs.
        check: The comparison with the checkpoint, if it was made, see `ExportCheck`.
        tgdi_hf: The version of this package that wrote the folder.
        schema: The layout of the folder.
    """

    format: str
    graphs: list[str]
    int8: bool
    opset: int | None
    slots: int | None
    image_shape: list[int]
    weights: str
    packages: dict[str, str] = field(default_factory=dict)
    check: dict[str, Any] | None = None
    tgdi_hf: str = __version__
    schema: int = SCHEMA

    def path(self, folder: Path, graph: str) -> Path:
        """The file of a graph."""
        return folder / f"{graph}{SUFFIXES[self.format]}"

    def write(self, folder: Path) -> None:
        """Writes the file into a folder."""
        text = json.dumps(asdict(self), indent=2) + "\n"
        (folder / EXPORT_MANIFEST).write_text(text, encoding="utf-8")

    @classmethod
    def read(cls, folder: str | Path) -> "ExportManifest":
        r"""
        Reads the file of an exported folder.

        Raises:
            ValueError: The folder is not an export, is damaged, or was written by a version of the package whose
                folders this one does not read.
        """
        folder = Path(folder).expanduser()
        file = folder / EXPORT_MANIFEST
        if not is_export(folder):
            raise ValueError(f"{folder} has no {EXPORT_MANIFEST}; expected a folder written by `tgdi export`.")
        try:
            stored = json.loads(file.read_text(encoding="utf-8"))
            written_by, schema = stored["tgdi_hf"], stored["schema"]
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is damaged ({error!r}). Export the checkpoint again.") from error
        if schema != SCHEMA or _release(written_by) != _release(__version__):
            raise ValueError(
                f"{folder} was exported by tgdi_hf {written_by} (layout {schema}), but this is tgdi_hf {__version__} "
                f"(layout {SCHEMA}). Export the checkpoint again, or install tgdi_hf {written_by}."
            )
        if stored.get("format") not in FORMATS or stored.keys() != {one.name for one in fields(cls)}:
            raise ValueError(f"{file} has the fields {', '.join(sorted(stored))}. Export the checkpoint again.")
        manifest = cls(**stored)
        missing = [path.name for graph in manifest.graphs if not (path := manifest.path(folder, graph)).is_file()]
        if missing:
            raise ValueError(f"{folder} lacks {', '.join(missing)}. Export the checkpoint again.")
        return manifest


def _release(version: Any) -> list[str]:
    """Before 1.0, minor versions may change what a checkpoint means."""
    return str(version).split(".")[:2]

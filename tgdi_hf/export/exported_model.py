"""An exported model in place of `TGDIForRelationExtraction`, for the pipeline and for own code."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from ..modeling.configuration_tgdi import TGDIConfig
from ..modeling.tgdi_outputs import TGDIRelationExtractionOutput
from ..processing.processor_options import InvalidOption
from .graph_inputs import GraphImages, image_inputs, no_images, text_inputs
from .manifest import ExportManifest
from .sessions import open_session

# Absent without images, as in the model.
OF_SLOTS = ("vision_gates", "region_weights")
OF_PATCHES = ("similarity", "patch_token_cosine")
# What graphs have neither inputs nor outputs for.
CHECKPOINT_ONLY = {
    "output_hidden_states": "hidden states (evidence and explanations read them)",
    "output_attentions": "attention weights",
    "labels": "loss",
    "inputs_embeds": "gradients with respect to embeddings",
    "enhanced_inputs_embeds": "gradients with respect to embeddings",
}
IGNORED = ("image_matches", "num_items_in_batch", "return_dict")  # only losses read them
ARGUMENTS = (
    *(f"{text}{name}" for text in ("", "enhanced_") for name in ("input_ids", "attention_mask", "token_type_ids")),
    *("head_index", "tail_index", "pixel_values", "vision_features", "image_mask", "image_index", "object_boxes"),
)


class ExportedTGDI(nn.Module):
    r"""
    Runs the graphs of a folder that `tgdi export` wrote, with ONNX Runtime or OpenVINO, on the CPU.

    It is called like `TGDIForRelationExtraction`, and `MultimodalRelationExtractionPipeline` and `predict` take it in
    its place. The graphs compute no gradients, losses, hidden states or attention weights: evidence, explanations and
    training require the checkpoint.

    Args:
        folder (`str` or `Path`): The folder.

    Raises:
        ImportError: The runtime of the folder's format is not installed.
        ValueError: The folder is not an export, is damaged, or was written by another version of this package.

    Example:

    ```python
    >>> from tgdi_hf.export.exported_model import ExportedTGDI
    >>> from tgdi_hf import TGDIProcessor

    >>> model = ExportedTGDI("exported")
    >>> inputs = TGDIProcessor.from_pretrained("exported")(text="Ann meets Bob", head=(0, 3), tail=(10, 13))
    >>> model(**inputs).logits.shape
    torch.Size([1, 23])
    ```
    """

    input_modalities = ("image", "text")

    def __init__(self, folder: str | Path):
        super().__init__()
        folder = Path(folder).expanduser()
        self.manifest = ExportManifest.read(folder)
        self.config = TGDIConfig.from_pretrained(folder)
        self.name_or_path = str(folder)
        self.sessions = {
            name: open_session(self.manifest.format, self.manifest.path(folder, name)) for name in self.manifest.graphs
        }

    @property
    def device(self) -> torch.device:
        """The device of inputs and outputs: the CPU."""
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        """The data type of inputs and outputs."""
        return torch.float32

    def get_vision_features(self, pixel_values: torch.Tensor | np.ndarray) -> torch.Tensor:
        r"""
        Computes what `forward` accepts as `vision_features`.

        Args:
            pixel_values (`torch.Tensor` or array): `(..., 3, H, W)`, in the size that the vision encoder is made for.

        Returns:
            `torch.Tensor`: `(..., tokens, d_v)`, as the model; or, of an export as a single graph, the pixels, which
            the graph encodes in every call of `forward`.

        Raises:
            ValueError: The model reads no images, or the images have another size.
        """
        pixels = torch.as_tensor(pixel_values).float()
        if not self.config.uses_vision:
            raise ValueError("This model reads no images: both of its visual mechanisms are switched off.")
        if "vision" not in self.sessions:
            return pixels
        size = getattr(self.config.vision_config, "image_size", 224)
        expected = (3, size, size) if isinstance(size, int) else (3, *size)
        if pixels.shape[-3:] != expected or 0 in pixels.shape:
            raise ValueError(f"`pixel_values` has shape {tuple(pixels.shape)}; this graph reads (..., {expected}).")
        features = self.sessions["vision"]({"pixel_values": pixels.reshape(-1, *expected)})["vision_features"]
        return features.view(*pixels.shape[:-3], *features.shape[1:])

    def forward(self, **arguments: Any) -> TGDIRelationExtractionOutput:
        r"""
        Args:
            arguments: Those of `TGDIForRelationExtraction.forward`, as tensors or NumPy arrays.

        Returns:
            `TGDIRelationExtractionOutput`, with `logits`, `matching_gate`, `similarity`, `patch_token_cosine`,
            `vision_gates`, `region_weights` and `directed_logits`, as far as the model has them.

        Raises:
            TypeError: An unknown argument.
            InvalidOption: An argument that requires the checkpoint.
            ValueError: As `TGDIForRelationExtraction.forward`.
        """
        for name, purpose in CHECKPOINT_ONLY.items():
            value = arguments.pop(name, None)
            if value is not None and value is not False:
                raise InvalidOption(
                    f"`{name}`: an exported model computes no {purpose}. Use the PyTorch checkpoint that "
                    f"{self.name_or_path} was exported from."
                )
        if unknown := [name for name in arguments if name not in (*ARGUMENTS, *IGNORED)]:
            raise TypeError(f"forward() got an unexpected argument {unknown[0]!r}; expected {', '.join(ARGUMENTS)}.")
        given = {name: torch.as_tensor(arguments[name]) for name in ARGUMENTS if arguments.get(name) is not None}
        inputs = text_inputs(given, self.config)
        if not self.config.uses_vision:
            return _as_output(self.sessions["model"](inputs))
        posts, shape, fixed = inputs["input_ids"].shape[0], self.manifest.image_shape, self.manifest.slots
        images = image_inputs(given, posts, self.config, shape, fixed, self.get_vision_features)
        blank = no_images(posts, self.config, shape, fixed) if images is None else images
        inputs |= _as_inputs(blank, "vision" in self.sessions)
        outputs = self.sessions["fusion" if "vision" in self.sessions else "model"](inputs)
        if images is None:
            outputs = {name: value for name, value in outputs.items() if name not in (*OF_SLOTS, *OF_PATCHES)}
        elif images.slots < images.mask.shape[1]:
            outputs = {name: _first_slots(name, value, images) for name, value in outputs.items()}
        return _as_output(outputs)

    def save_pretrained(self, save_directory: str | Path, **options: Any) -> None:
        """Raises `ValueError`: an exported folder is copied, not saved."""
        raise ValueError(f"An exported model is its folder: copy {self.name_or_path} to {save_directory}.")


def _as_output(values: dict[str, Any]) -> TGDIRelationExtractionOutput:
    return TGDIRelationExtractionOutput(**values)


def _as_inputs(images: GraphImages, features: bool) -> dict[str, torch.Tensor]:
    inputs = {"image_index": images.index, "image_mask": images.mask}
    inputs["vision_features" if features else "pixel_values"] = images.given
    return inputs if images.boxes is None else {**inputs, "object_boxes": images.boxes}


def _first_slots(name: str, value: torch.Tensor, images: GraphImages) -> torch.Tensor:
    """Removes the slots that only fill up the fixed number of the graph."""
    if name not in OF_SLOTS and (name not in OF_PATCHES or images.boxes is not None):
        return value
    return value[:, : value.shape[1] * images.slots // images.mask.shape[1]]

"""What a set of vision features depends on: the encoder's weights, the image processor, and the prompt grid."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from .checkpoint_identity import weights_digest

# Entries of an image processor's configuration that do not change a pixel: names of classes and of code files.
IGNORED_SETTINGS = ("image_processor_type", "processor_class", "_processor_class", "auto_map")
# Fields of a vision encoder's configuration that its output depends on, besides the weights.
ENCODER_FIELDS = (
    "model_type",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "hidden_act",
    "layer_norm_eps",
    "patch_size",
    "image_size",
    "num_register_tokens",
)


def fingerprint_of(tower: nn.Module, image_processor: Any, prompt_grid: int) -> dict[str, Any]:
    r"""
    Args:
        tower: The vision encoder.
        image_processor: Its image processor.
        prompt_grid: See `TGDIConfig`.

    Returns:
        Plain JSON: a digest of the encoder's weights, the fields of its configuration and the settings of the image
        processor that the features depend on, and the prompt grid.
    """
    settings = {
        name: value
        for name, value in sorted(image_processor.to_dict().items())
        if value is not None and name not in IGNORED_SETTINGS
    }
    config = tower.config
    return {
        "encoder": {name: getattr(config, name) for name in ENCODER_FIELDS if hasattr(config, name)},
        "weights": weights_digest(tower),
        "image_processor": json.loads(json.dumps(settings, default=str)),
        "prompt_grid": prompt_grid,
    }


def check_fingerprint(folder: Path, stored: Mapping[str, Any], expected: Mapping[str, Any]) -> None:
    r"""
    Args:
        folder: The folder of the features, for the error message.
        stored: The fingerprint in that folder.
        expected: From `fingerprint_of`.

    Raises:
        ValueError: The fingerprints differ; the message lists each difference.
    """
    expected = json.loads(json.dumps(expected))
    # Older folders may contain settings that are ignored today.
    kept = {name: value for name, value in stored.get("image_processor", {}).items() if name not in IGNORED_SETTINGS}
    stored = {**stored, "image_processor": kept}
    differing = [name for name in expected if stored.get(name) != expected[name]]
    if differing:
        differences = "; ".join(f"{name} was {stored.get(name)}, is {expected[name]}" for name in differing)
        raise ValueError(
            f"The vision features in {folder} belong to another vision encoder or image processor: {differences}. "
            "Compute the features for this one in another folder."
        )

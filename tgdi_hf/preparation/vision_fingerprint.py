"""What a set of vision features depends on: encoder, image processor, and the form in which objects are read."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import nn

from ..processing.processor_options import CROPS, REGIONS
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


def fingerprint_of(
    tower: nn.Module, image_processor: Any, prompt_grid: int, object_features: str = CROPS
) -> dict[str, Any]:
    r"""
    Args:
        tower: The vision encoder.
        image_processor: Its image processor.
        prompt_grid, object_features: See `TGDIConfig`.

    Returns:
        Plain JSON: a digest of the encoder's weights, the fields of its configuration and the settings of the image
        processor that the features depend on, and the prompt grid; or instead of the grid, on which the patches of all
        hidden states do not depend, `"object_features": "regions"`.
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
        **({"object_features": REGIONS} if object_features == REGIONS else {"prompt_grid": prompt_grid}),
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
    kind, expected_kind = (of.get("object_features", CROPS) for of in (stored, expected))
    if kind != expected_kind:
        raise ValueError(
            f"The vision features in {folder} are for `object_features={kind!r}`, not {expected_kind!r}: the patches "
            "of every hidden state serve regions; images and crops of objects, pooled, serve crops. Compute the "
            "features in another folder."
        )
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

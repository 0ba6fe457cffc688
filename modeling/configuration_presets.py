"""Named sets of fields of a TGDI configuration."""

from typing import Any

PRESETS: dict[str, dict[str, Any]] = {
    # What measurements favour; each deviation from the paper is listed in the documentation.
    "default": {},
    # Every formula to the letter, with the dropout that the paper names for all of training.
    "paper": {
        "toi_num_layers": None,
        "toi_share_text_encoder": True,  # Eq. 12 has the projections of Eq. 4
        "self_attention_residual": False,
        "similarity_function": "dot",
        "initial_gate": 0.5,
        "text_dropout": 0.01,
        "classifier_dropout": 0.01,
    },
    # For posts whose images may be irrelevant and whose entities have no given order. Trained with swapped images.
    "application": {
        "direction_balanced": True,
        "matching_loss_weight": 1.0,
        "matching_loss_gate_only": True,
        "gate_attention": True,
        "text_loss_weight": 1.0,
    },
}


def preset_fields(preset: str) -> dict[str, Any]:
    r"""
    Args:
        preset (`str`): One of `PRESETS`.

    Raises:
        ValueError: An unknown preset.
    """
    if preset not in PRESETS:
        raise ValueError(f"Unknown preset {preset!r}; expected one of {', '.join(map(repr, PRESETS))}.")
    return PRESETS[preset]

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

"""The attention implementations that TGDI supports; every other implementation is rejected."""

from typing import Any

# The text encoder reads prefixes through a four-dimensional mask. Flash attention accepts no mask, flex attention
# expects a block mask and reads beyond the end of this one, and paged attention expects its own cache.
TEXT_IMPLEMENTATIONS = ("eager", "sdpa")
# The vision encoder has no mask. transformers checks whether its class supports these and whether they are installed.
VISION_IMPLEMENTATIONS = (
    *TEXT_IMPLEMENTATIONS, "flex_attention", "flash_attention_2", "flash_attention_3", "flash_attention_4",
)  # fmt: skip
# The configurations of a model by their names in `attn_implementation`; "" is that of TGDI itself.
PARTS = {"": TEXT_IMPLEMENTATIONS, "text_config": TEXT_IMPLEMENTATIONS, "vision_config": VISION_IMPLEMENTATIONS}


def check_attn_implementation(requested: str | dict | None) -> None:
    r"""
    Checks a requested implementation before any configuration is changed.

    Args:
        requested (`str` or `dict`, *optional*): The argument of `set_attn_implementation`: one implementation for the
            whole model, or one per configuration under `"text_config"`, `"vision_config"` and `""` (TGDI itself).
            `None` stands for the default.

    Raises:
        ValueError: An implementation that TGDI does not support, or an unknown configuration.
    """
    if not isinstance(requested, dict):
        requested = dict.fromkeys(PARTS, requested)
    for part, implementation in requested.items():
        if part not in PARTS:
            raise ValueError(
                f"`attn_implementation` has an entry for {part!r}; expected 'text_config', 'vision_config' or '' (the "
                "model itself)."
            )
        check_implementation_of(part, implementation)


def check_implementation_of(part: str, implementation: str | dict | None) -> None:
    """As `check_attn_implementation` for one of `PARTS`; a dictionary has an entry per nested configuration."""
    if isinstance(implementation, dict):
        for nested in implementation.values():
            check_implementation_of(part, nested)
    elif implementation is not None and implementation not in PARTS[part]:
        shown = f'"{implementation}"' if isinstance(implementation, str) else repr(implementation)
        if part == "vision_config":
            raise ValueError(
                f"Specified `attn_implementation={shown}` is not supported for `vision_config`; expected one of "
                f"{', '.join(VISION_IMPLEMENTATIONS)} that the vision encoder supports."
            )
        raise ValueError(
            f"Specified `attn_implementation={shown}` is not supported for {f'`{part}`' if part else 'the model'}; "
            f"expected {' or '.join(TEXT_IMPLEMENTATIONS)}: no other implementation attends to the visual prompts that "
            "precede the text. For the vision encoder alone pass `attn_implementation={'vision_config': ...}`."
        )


def requested_by(sub_config: Any) -> str | None:
    """The implementation that a sub-configuration (an object or a dictionary) specifies itself."""
    if isinstance(sub_config, dict):
        return sub_config.get("attn_implementation", sub_config.get("_attn_implementation"))
    return getattr(sub_config, "_attn_implementation", None)

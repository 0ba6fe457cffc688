"""The attention implementations that compute what TGDI means; every other one is refused."""

# The text encoder reads prefixes through a four-dimensional mask. Flash attention takes none, flex attention expects a
# block mask and reads beyond the end of this one, and the paged functions expect a cache of their own.
TEXT_IMPLEMENTATIONS = ("eager", "sdpa")
# The vision encoder has no mask; transformers asks its class for these, and the machine for what they require.
VISION_IMPLEMENTATIONS = (
    *TEXT_IMPLEMENTATIONS, "flex_attention", "flash_attention_2", "flash_attention_3", "flash_attention_4",
)  # fmt: skip
# The configurations of a model, as they are called in `attn_implementation`; "" is TGDI's own.
PARTS = {"": TEXT_IMPLEMENTATIONS, "text_config": TEXT_IMPLEMENTATIONS, "vision_config": VISION_IMPLEMENTATIONS}


def check_attn_implementation(requested: str | dict | None) -> None:
    r"""
    Checks a request before any configuration is changed.

    Args:
        requested (`str`, `dict` or `None`): As `set_attn_implementation` takes it: one implementation for the whole
            model, or one per sub-configuration under `"text_config"`, `"vision_config"` and `""` (TGDI's own). `None`
            stands for the default.

    Raises:
        ValueError: An implementation that TGDI does not support, or a sub-configuration that there is not.
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
    """The same for one of `PARTS`; a dictionary holds what is requested for its own sub-configurations."""
    if isinstance(implementation, dict):
        for nested in implementation.values():
            check_implementation_of(part, nested)
    elif implementation is not None and implementation not in PARTS[part]:
        shown = f'"{implementation}"' if isinstance(implementation, str) else repr(implementation)
        if part == "vision_config":
            raise ValueError(
                f"Specified `attn_implementation={shown}` is not supported for `vision_config`; expected one of "
                f"{', '.join(VISION_IMPLEMENTATIONS)}, as far as the vision encoder has it."
            )
        raise ValueError(
            f"Specified `attn_implementation={shown}` is not supported for {f'`{part}`' if part else 'the model'}; "
            f"expected {' or '.join(TEXT_IMPLEMENTATIONS)}: no other one computes attention over the visual prompts in "
            "front of the text. For the vision encoder alone pass `attn_implementation={'vision_config': ...}`."
        )


def requested_by(sub_config) -> str | None:
    """The implementation that a sub-configuration, an object or a dictionary, asks for by itself."""
    if isinstance(sub_config, dict):
        return sub_config.get("attn_implementation", sub_config.get("_attn_implementation"))
    return getattr(sub_config, "_attn_implementation", None)

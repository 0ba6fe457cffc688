"""The options of a processor, checked wherever they come from: a constructor, a saved file, an attribute, a call."""

from collections.abc import Mapping
from operator import index
from typing import Any

TENSOR_TYPES = ("pt", "np")
# Mappings of options that a call takes; the first one to name `return_tensors` decides.
NESTED = ("text_kwargs", "images_kwargs", "common_kwargs")


class InvalidOption(ValueError):
    """An option of the processor has a value that it can't have."""


def whole_number(name: str, value: Any, least: int, unit: str, optional: bool = False) -> int | None:
    r"""
    Args:
        name: Of the option.
        value: What was given.
        least: The smallest value that makes sense.
        unit: What is counted, for the message.
        optional: Whether `None` is allowed.

    Returns:
        The value as a plain `int`, which can be saved as JSON.

    Raises:
        InvalidOption: Anything but an integer from `least` on; `True` and `2.0` are none.
    """
    if value is None and optional:
        return None
    try:
        # `index` refuses floats and strings, but takes bools.
        number = None if type(value).__name__ in ("bool", "bool_") else index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        found = f"{value!r:.80}" if number is None else number
        also = " or `None`" if optional else ""
        raise InvalidOption(f"`{name}` is {found}; expected a whole number of {unit}, {least} or more{also}.")
    return number


def switch(name: str, value: Any) -> bool:
    """`value` as a plain `bool`; `InvalidOption` for anything but `True` and `False`."""
    if type(value).__name__ not in ("bool", "bool_"):
        raise InvalidOption(f"`{name}` is {value!r:.80}; expected True or False.")
    return bool(value)


def pads_to_limit(padding: Any) -> bool:
    """Whether texts are padded to `max_length`, not to the longest one; `InvalidOption` for any other padding."""
    if isinstance(padding, str):
        padding = getattr(padding, "value", padding)  # of transformers' `PaddingStrategy`
    if padding is not True and padding not in ("longest", "max_length"):
        raise InvalidOption(
            f"`padding` is {padding!r:.80}; expected True or 'longest', or 'max_length': a batch of tensors is padded."
        )
    return padding == "max_length"


def checked_call(kwargs: dict[str, Any], of_text: set[str], image_processor) -> tuple[dict[str, Any], str | None]:
    r"""
    Args:
        kwargs: Keyword arguments of one call, by themselves or in `text_kwargs`, `images_kwargs` or `common_kwargs`.
        of_text: The names of options of the text.
        image_processor: Whose options are those of images.

    Returns:
        The arguments for `_merge_kwargs`, and the type of the tensors: `"pt"` unless they name another one.

    Raises:
        TypeError: There is no such option.
        InvalidOption: `return_tensors`, or a value that should be a mapping, is none.
    """
    of_images = {"return_tensors", *getattr(getattr(image_processor, "valid_kwargs", None), "__annotations__", {})}
    known = dict(zip(NESTED, (of_text, of_images, of_text | of_images)))
    nested = {name: kwargs[name] for name in NESTED if kwargs.get(name) is not None}
    flat = {name: value for name, value in kwargs.items() if name not in NESTED}
    unknown = set(flat) - of_text - of_images
    for name, options in nested.items():
        if not isinstance(options, Mapping):
            raise InvalidOption(f"`{name}` is {options!r:.80}; expected a mapping of options.")
        unknown |= set(options) - known[name]
    if unknown:
        raise TypeError(
            f"TGDIProcessor has no option {', '.join(sorted(unknown))}. A call takes {', '.join(sorted(of_text))} and "
            f"what the {type(image_processor).__name__} takes; special tokens are fixed."
        )
    levels = (flat, *nested.values())
    tensor_type = next((level["return_tensors"] for level in levels if "return_tensors" in level), "pt")
    tensor_type = getattr(tensor_type, "value", tensor_type)  # of transformers' `TensorType`
    if tensor_type not in (*TENSOR_TYPES, None):
        raise InvalidOption(
            f"`return_tensors` is {tensor_type!r:.80}; expected {', '.join(map(repr, TENSOR_TYPES))} or `None`."
        )
    # transformers gives common options to text and images alike, those of the other one included.
    common = {name: value for name, value in nested.pop("common_kwargs", {}).items() if name not in flat}
    for name in ("text_kwargs", "images_kwargs"):
        for_it = {option: value for option, value in common.items() if option in known[name]}
        nested[name] = {**for_it, **nested.get(name, {})}
    return {**flat, **nested}, tensor_type

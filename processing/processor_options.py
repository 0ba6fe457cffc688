"""Options of the processor, and checks of their values."""

from collections.abc import Mapping
from operator import index
from typing import Any, NamedTuple

TENSOR_TYPES = ("pt", "np")
# How a model reads objects: as images of their own, or off the patches of the image of their post.
CROPS, REGIONS = "crops", "regions"
# Mappings of options in a call, in order of precedence for `return_tensors`.
NESTED = ("text_kwargs", "images_kwargs", "common_kwargs")


class InvalidOption(ValueError):
    """An option of the processor or the pipeline has an invalid value, or one that does not fit the posts."""


class CallOptions(NamedTuple):
    r"""
    The options of one call of the processor.

    Args:
        limit: The longest text with its caption, in tokens.
        padded_length: The length that all texts are padded to; `None` for the longest one of the batch.
        truncation: Whether longer texts are cut.
        tensor_type: `"pt"`, `"np"`, or `None` for unconverted arrays.
        image_options: Options of the image processor.
    """

    limit: int
    padded_length: int | None = None
    truncation: bool = True
    tensor_type: str | None = "pt"
    image_options: Mapping[str, Any] = {}


def optional_whole_number(name: str, value: Any, least: int, unit: str) -> int | None:
    """`whole_number`, or `None`."""
    return None if value is None else whole_number(name, value, least, unit, " or `None`")


def whole_number(name: str, value: Any, least: int, unit: str, alternative: str = "") -> int:
    r"""
    Args:
        name: The name of the option.
        value: Its value.
        least: The smallest valid value.
        unit: The unit counted, for the message.
        alternative: Other valid values, for the message.

    Returns:
        The value as a plain `int`, which can be saved as JSON.

    Raises:
        InvalidOption: The value is not an integer of at least `least`; `True` and `2.0` are not integers.
    """
    try:
        # `index` refuses floats and strings, but takes bools.
        number = None if type(value).__name__ in ("bool", "bool_") else index(value)
    except TypeError:
        number = None
    if number is None or number < least:
        found = f"{value!r:.80}" if number is None else number
        raise InvalidOption(f"`{name}` is {found}; expected a whole number of {unit}, {least} or more{alternative}.")
    return number


def switch(name: str, value: Any) -> bool:
    """Returns `value` as a plain `bool`; raises `InvalidOption` if it is neither `True` nor `False`."""
    if type(value).__name__ not in ("bool", "bool_"):
        raise InvalidOption(f"`{name}` is {value!r:.80}; expected True or False.")
    return bool(value)


def checked_object_features(value: Any, use_image: bool = True) -> str:
    r"""
    Args:
        value: `object_features` of the processor.
        use_image: Whether it reads whole images.

    Raises:
        InvalidOption: Another value than `"crops"` and `"regions"`, or `"regions"` without whole images.
    """
    if value not in (CROPS, REGIONS):
        raise InvalidOption(f"`object_features` is {value!r:.80}; expected '{CROPS}' or '{REGIONS}'.")
    if value == REGIONS and not use_image:
        raise InvalidOption(
            f"`use_image=False` leaves no image to read objects off with `object_features='{REGIONS}'`; use '{CROPS}', "
            "which reads each object as an image of its own."
        )
    return value


def check_same_object_features(model_config: Any, processor: Any) -> None:
    r"""
    Args:
        model_config: Configuration of a model; one without `object_features` reads crops.
        processor: Its processor.

    Raises:
        ValueError: The two read objects in different ways.
    """
    of_model, of_processor = (getattr(of, "object_features", CROPS) for of in (model_config, processor))
    if of_model != of_processor:
        raise ValueError(
            f"The model has `object_features={of_model!r}`, but the processor has {of_processor!r}. Load both from one "
            f"checkpoint, build both with `build_model`, or pass `object_features={of_model!r}` to the processor."
        )


def pads_to_limit(padding: Any) -> bool:
    """Whether texts are padded to `max_length` instead of the longest one; raises `InvalidOption` for other values."""
    if isinstance(padding, str):
        padding = getattr(padding, "value", padding)  # of transformers' `PaddingStrategy`
    if padding is not True and padding not in ("longest", "max_length"):
        raise InvalidOption(
            f"`padding` is {padding!r:.80}; expected True, 'longest' or 'max_length': all rows have one length."
        )
    return padding == "max_length"


def checked_call(kwargs: Mapping[str, Any], of_text: set[str], image_processor) -> tuple[dict[str, Any], str | None]:
    r"""
    Args:
        kwargs: Keyword arguments of one call, by themselves or in `text_kwargs`, `images_kwargs` or `common_kwargs`.
        of_text: The names of the text options.
        image_processor: The image processor, which defines the image options.

    Returns:
        The arguments for `_merge_kwargs`, and the tensor type, `"pt"` by default.

    Raises:
        TypeError: An option is unknown.
        InvalidOption: `return_tensors` has an unknown value, or a nested option is not a mapping.
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
            f"TGDIProcessor has no option {', '.join(sorted(unknown))}. The options of a call are "
            f"{', '.join(sorted(of_text))} and those of the {type(image_processor).__name__}; special tokens are fixed."
        )
    levels = (flat, *nested.values())
    tensor_type = next((level["return_tensors"] for level in levels if "return_tensors" in level), "pt")
    tensor_type = getattr(tensor_type, "value", tensor_type)  # of transformers' `TensorType`
    if tensor_type not in (*TENSOR_TYPES, None):
        raise InvalidOption(
            f"`return_tensors` is {tensor_type!r:.80}; expected {', '.join(map(repr, TENSOR_TYPES))} or `None`."
        )
    # transformers would pass every common option to both text and images.
    common = {name: value for name, value in nested.pop("common_kwargs", {}).items() if name not in flat}
    for name in ("text_kwargs", "images_kwargs"):
        for_it = {option: value for option, value in common.items() if option in known[name]}
        nested[name] = {**for_it, **nested.get(name, {})}
    return {**flat, **nested}, tensor_type

"""Checked access to the fields of JSON values that a tool has exported."""

from collections.abc import Mapping
from typing import Any

from ..processing.grapheme_clusters import is_visible
from .document import Unusable

LARGEST_OFFSET = 2**31


def as_mapping(value: Any, name: str) -> Mapping[str, Any]:
    """An object of JSON. Raises `Unusable` for another value."""
    if not isinstance(value, Mapping):
        raise Unusable(f"{name} is {value!r:.80}; expected an object.")
    return value


def as_list(value: Any, name: str) -> list[Any]:
    """A list of JSON; missing (`null`) is an empty list. Raises `Unusable` for another value."""
    if value is None:
        return []
    if not isinstance(value, list | tuple):
        raise Unusable(f"{name} is {value!r:.80}; expected a list.")
    return list(value)


def as_text(value: Any, name: str = "the text") -> str:
    """A text with visible characters. Raises `Unusable` for another value."""
    if not isinstance(value, str) or not is_visible(value):
        raise Unusable(f"{name} is {value!r:.80}; expected a text.")
    return _encodable(value, name)


def as_integer(value: Any, name: str) -> int:
    """A number, which some tools write as a string or with a decimal point. Raises `Unusable` for another value."""
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 12:
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST_OFFSET:
        raise Unusable(f"{name} is {value!r:.80}; expected a whole number.")
    return value


def as_id(value: Any, name: str) -> str:
    """An id, a string or a number, as a string. Raises `Unusable` for another value."""
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        raise Unusable(f"{name} is {value!r:.80}; expected an id.")
    return _encodable(str(value), name)


def as_label(value: Any, name: str) -> str:
    """The name of a type or relation. Raises `Unusable` for another value."""
    return as_text(value, name).strip()


def as_optional_label(value: Any, name: str) -> str | None:
    """The name of a type; `None` if it is missing. Raises `Unusable` for a value that is neither."""
    return None if value is None or value == "" else as_label(value, name)


def _encodable(value: str, name: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise Unusable(
            f"{name} has half of a surrogate pair at {error.start}, {value[error.start]!r}; expected valid Unicode. "
            "A tool has cut an emoji in two, or the file is not encoded in UTF-8."
        ) from None
    return value

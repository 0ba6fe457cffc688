"""Options of the readers, and the keys of text and image in exports that let users choose them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .document import Unusable
from .fields import as_text
from .formats import Unit
from .image_folder import is_image_reference

IMAGE_KEYS = ("image", "img", "photo", "picture", "image_path", "file_name")


@dataclass(frozen=True)
class ReaderOptions:
    r"""
    Args:
        offsets: The unit that offsets count; by default that of the tool.
        text_key, image_key: The keys of text and image; by default they are found.
        attribute: The custom attribute of spaCy with the relations.
        predictions: Whether predictions are read where there are no annotations.
    """

    offsets: Unit | None = None
    text_key: str | None = None
    image_key: str | None = None
    attribute: str = "rel"
    predictions: bool = False


def find_text(data: Mapping[str, Any], options: ReaderOptions) -> str:
    """The text among the values of a document. Raises `Unusable` if it is unclear which one it is."""
    if options.text_key is not None:
        if options.text_key not in data:
            raise Unusable(f"no key {options.text_key!r}, found {_keys(data)}.")
        return as_text(data[options.text_key], f"`{options.text_key}`")
    if "text" in data:
        return as_text(data["text"], "`text`")
    texts = [key for key, value in data.items() if isinstance(value, str) and not _is_reference(value)]
    if len(texts) != 1:
        raise Unusable(
            f"expected a key `text`, found {_keys(data)}. Pass the key of the text as `text_key` (--text-key KEY)."
        )
    return as_text(data[texts[0]], f"`{texts[0]}`")


def find_image(data: Mapping[str, Any], options: ReaderOptions) -> str | None:
    """The reference to the image among the values of a document; `None` if there is none. Raises `Unusable` if it is
    not a string, or if there are several."""
    keys = (options.image_key,) if options.image_key is not None else IMAGE_KEYS
    for key in keys:
        value = data.get(key)
        if value not in (None, ""):
            if not isinstance(value, str):
                raise Unusable(f"`{key}` is {value!r:.80}; expected the path or URL of one image.")
            return value
    if options.image_key is not None:
        return None
    references = {key: value for key, value in data.items() if is_image_reference(value)}
    if len(references) > 1:
        raise Unusable(
            f"the document has several images, {', '.join(map(str, references))}. Pass the key of one as `image_key` "
            "(--image-key KEY)."
        )
    return next(iter(references.values()), None)


def _is_reference(value: str) -> bool:
    return is_image_reference(value) or (value.startswith(("http://", "https://", "/data/")) and " " not in value)


def _keys(data: Mapping[str, Any]) -> str:
    return ", ".join(map(str, data)) or "nothing"

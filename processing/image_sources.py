"""Sources of images: their identity within a batch, their names in messages, and advice for missing files."""

import hashlib
import os
import re
from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import torch

from .pillow import Image

_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{200,}")


def as_source(value: Any) -> Any:
    """Wraps the bytes of an image file in a mapping with `bytes`; other sources stay as they are."""
    return {"bytes": bytes(value)} if isinstance(value, bytes | bytearray | memoryview) else value


def image_key(value: Any, where: str) -> tuple[str, Hashable]:
    r"""
    Identifies an image.

    Args:
        value: As for `ImageBatch.add`.
        where: Names the image in messages.

    Returns:
        A key that is equal for images that are the same Python object, have the same path or the same encoded bytes.

    Raises:
        ValueError: `value` cannot be an image.
    """
    source = as_source(value)
    if isinstance(source, Image.Image | np.ndarray | torch.Tensor):
        return "object", _ByIdentity(source)
    if isinstance(source, Mapping):
        content = source.get("bytes")
        if isinstance(content, bytes | bytearray | memoryview):
            return "bytes", hashlib.sha256(content).digest()
        if content is not None:
            raise ValueError(f"{where}: `bytes` of the image is {content!r:.80}; expected the bytes of an image file.")
        source = source.get("path")
    if isinstance(source, str | os.PathLike):
        return "path", os.fspath(source)
    found = type(source).__name__
    if is_open_file(source):
        found += ", an open file: pass its bytes, `file.read()`, or its path"
    raise ValueError(
        f"{where}: expected an image as PIL image, path, array, bytes of a file or mapping with `bytes` or `path` "
        f"(or, among objects, a box of four numbers), found {found}."
    )


class _ByIdentity:
    """Equal for the same Python object, which is kept alive so that no other object gets its identity."""

    def __init__(self, value: Any):
        self._value = value

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, _ByIdentity) and self._value is other._value

    def __hash__(self) -> int:
        return id(self._value)


def is_open_file(value: Any) -> bool:
    """Whether a value is an open file, which can be read only once, and by one thread."""
    return hasattr(value, "read") and not hasattr(value, "convert")


def short_name(path: Any) -> str:
    """A path for a message; an image in base64 passed as a path has no bounded length."""
    name = str(path)
    return name if len(name) <= 300 else f"{name[:60]}…"


def path_advice(path: Any) -> str:
    r"""
    Args:
        path: A path at which no file exists.

    Returns:
        The likely fix: the path may be a URL, an encoded image, or a path of another system.
    """
    name = os.fsdecode(path) if isinstance(path, str | os.PathLike) else str(path)
    if name.startswith("data:") or _BASE64.match(name):
        return "It seems to be an image in base64; pass its bytes: `base64.b64decode(text)`, without `data:…,`."
    if name.lower().startswith("file:"):
        return "URLs are not opened; pass the path: `urllib.request.url2pathname(urllib.parse.urlsplit(url).path)`."
    if "://" in name or re.match(r"(https?|s3|gs|hf):/", name):
        return "URLs are not fetched; download the image, and pass its path or its bytes."
    if name.startswith("~"):
        return "`~` is not expanded; pass `os.path.expanduser(path)`."
    if "\\" in name and os.sep == "/":
        return "It contains backslashes, as Windows paths do; separate folders by `/`."
    return "If the image is missing, leave it out: `None`, or `null` in JSON."

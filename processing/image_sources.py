"""Where an image comes from: what is said of a path at which there is none."""

import os
import re
from typing import Any

_BASE64 = re.compile(r"[A-Za-z0-9+/=\s]{200,}")


def as_source(value: Any) -> Any:
    """An image as the other modules take it: the bytes of a file become a mapping with `bytes`."""
    return {"bytes": bytes(value)} if isinstance(value, bytes | bytearray | memoryview) else value


def is_open_file(value: Any) -> bool:
    """Whether something is an open file, which can be read once, and by one thread."""
    return hasattr(value, "read") and not hasattr(value, "convert")


def short_name(path: Any) -> str:
    """A path for a message; images in base64 have no end."""
    name = str(path)
    return name if len(name) <= 300 else f"{name[:60]}…"


def path_advice(path: Any) -> str:
    r"""
    Args:
        path: At which there is no file.

    Returns:
        What to do: it may be the address of an image, an image itself, or a path of another system.
    """
    name = os.fsdecode(path) if isinstance(path, str | os.PathLike) else str(path)
    if name.startswith("data:") or _BASE64.match(name):
        return "It seems to be an image in base64; pass its bytes: `base64.b64decode(text)`, without `data:…,`."
    if name.lower().startswith("file:"):
        return (
            "Addresses are not opened; pass the path: `urllib.request.url2pathname(urllib.parse.urlsplit(url).path)`."
        )
    if "://" in name or re.match(r"(https?|s3|gs|hf):/", name):
        return "URLs are not fetched; download the image, and pass its path or its bytes."
    if name.startswith("~"):
        return "`~` stands for nothing here; pass `os.path.expanduser(path)`."
    if "\\" in name and os.sep == "/":
        return "It has backslashes, as paths of Windows have; write `/` between folders."
    return "Where an image is missing, pass `None`."

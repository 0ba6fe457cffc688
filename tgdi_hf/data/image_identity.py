"""Identifies images by content: copies of a file under other names are the same image."""

import hashlib
from pathlib import Path


def digest_of(image: bytes | str | Path) -> str:
    """The first 32 hexadecimal digits of the SHA-256 of an image file, given as bytes or as a path."""
    content = image if isinstance(image, bytes) else Path(image).read_bytes()
    return hashlib.sha256(content).hexdigest()[:32]

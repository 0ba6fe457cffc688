"""The identity of an image: the content of its file."""

import hashlib
from pathlib import Path


def digest_of(image: bytes | str | Path) -> str:
    """Names an image by the content of its file, given as bytes or as a path."""
    content = image if isinstance(image, bytes) else Path(image).read_bytes()
    return hashlib.sha256(content).hexdigest()[:32]

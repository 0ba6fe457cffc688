"""Finds the file behind a tool's reference to an image."""

import base64
import binascii
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from ..processing.image_opening import open_image
from ..processing.post_keys import IMAGE_SUFFIXES
from .document import Unusable

_DATA_URI = re.compile(r"data:image/[\w.+-]+;base64,", re.IGNORECASE)
# Label Studio puts eight hexadecimal digits before the name of an uploaded file.
_UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-")


class ImageFolder:
    r"""
    Args:
        folder: The folder that contains the image files. Files outside it are not read, because an export may come from
            someone else.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()

    def find(self, reference: str) -> Path | bytes:
        r"""
        Finds an image that can be opened.

        Args:
            reference: A path, absolute or relative to the folder; a path or URL of a tool, of which the file name is
                looked up in the folder; or a data URI.

        Returns:
            The file, or the content of a data URI.

        Raises:
            Unusable: There is no such file in the folder, or it is not an image. URLs are not fetched.
        """
        if _DATA_URI.match(reference):
            try:
                content = base64.b64decode(reference.partition(",")[2], validate=True)
                open_image(content, "the data URI")
            except (binascii.Error, ValueError, OSError) as error:
                raise Unusable(f"{reference[:40]!r}… is not an image: {error}") from None
            return content
        for candidate in _candidates(reference):
            file = self._file(candidate)
            if file is not None:
                try:
                    open_image(file, candidate)
                except (ValueError, OSError) as error:
                    raise Unusable(str(error)) from None
                return file
        raise Unusable(
            f"{reference!r:.120}: no such file in {self.folder}. URLs are not fetched: put the image files into one "
            "folder and pass it as `images` (--images FOLDER)."
        )

    def _file(self, candidate: str) -> Path | None:
        try:
            file = (self.folder / candidate).resolve()
            return file if file.is_relative_to(self.folder) and file.is_file() else None
        except (OSError, ValueError, RuntimeError):  # a name that is too long, a null character, a loop of links
            return None


def is_image_reference(value: object) -> bool:
    """Whether a value looks like a reference to an image: a data URI, or a path or URL with the suffix of images."""
    if not isinstance(value, str) or any(character in value for character in " \n\t"):
        return False
    try:
        path = urlsplit(value).path
    except ValueError:
        return False
    return (
        _DATA_URI.match(value) is not None
        or value.lower().endswith(IMAGE_SUFFIXES)
        or path.lower().endswith(IMAGE_SUFFIXES)
    )


def _candidates(reference: str) -> Iterator[str]:
    """Paths that a reference may stand for, the most exact one first."""
    yield reference
    try:
        url = urlsplit(reference)
        inner = parse_qs(url.query).get("d", [""])[0]  # "/data/local-files/?d=images/1.jpg" of Label Studio
    except ValueError:
        return
    path = inner or unquote(url.path)
    yield path
    yield path.lstrip("/")
    name = PurePosixPath(path.replace("\\", "/")).name
    if name:
        yield name
        yield _UPLOAD_PREFIX.sub("", name)

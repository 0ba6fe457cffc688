"""The image of each post, as a path or as bytes, and its digest."""

import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

from ..data.image_identity import digest_of
from ..data.table_cells import is_url
from .result_cache import KnownFile, ResultCache

HASHING_THREADS = 4


class FoundImage(NamedTuple):
    r"""
    Args:
        stored: The image as `datasets` stores it, with `bytes` and `path`; `None` if the post has no image.
        digest: From `digest_of`.
    """

    stored: dict[str, Any] | None = None
    digest: str | None = None


class ImageSource(NamedTuple):
    """The bytes of an image file, or its full path; both `None` if the post has no image."""

    content: bytes | None = None
    path: str | None = None


class ImageFinder:
    r"""
    Resolves the images of posts. A file is hashed again only if its size or its modification time has changed since it
    was hashed last.

    Args:
        results: Remembers the digests of files.
        folder: Folder that relative paths start from.
        root: Refuse paths outside this folder, after resolving links; by default any path is allowed.
    """

    def __init__(self, results: ResultCache, folder: Path, root: Path | None):
        self.results = results
        self.folder = folder.absolute()
        self.root = None if root is None else root.resolve()

    def find(self, images: Sequence[Any]) -> list[FoundImage | ValueError]:
        """For the `image` of each post the image, or an error that says why it cannot be used."""
        found: list[FoundImage | ValueError] = [FoundImage()] * len(images)
        indices: dict[str, list[int]] = {}
        for i, image in enumerate(images):
            try:
                source = self.source(image)
            except ValueError as error:
                found[i] = error
                continue
            if source.content is not None:
                stored = {"bytes": source.content, "path": source.path}
                found[i] = FoundImage(stored, digest_of(source.content))
            elif source.path is not None:
                indices.setdefault(source.path, []).append(i)
        for path, digest in self._digests(indices).items():
            for i in indices[path]:
                found[i] = FoundImage({"bytes": None, "path": path}, digest) if isinstance(digest, str) else digest
        return found

    def source(self, image: Any) -> ImageSource:
        r"""
        Args:
            image: A path, the bytes of a file, or a mapping with `bytes` or `path`.

        Raises:
            ValueError: The image has no bytes, is a URL, has another type, or lies outside the image root.
        """
        if image is None or image == "":
            return ImageSource()
        if isinstance(image, bytes):
            image = {"bytes": image}
        if isinstance(image, str):
            image = {"path": image}
        if not isinstance(image, Mapping):
            raise ValueError(f"`image` is a {type(image).__name__}; expected the path or the bytes of a file.")
        content, path = image.get("bytes"), image.get("path")
        if content is not None:
            if not content:
                raise ValueError("the image has no bytes.")
            return ImageSource(content, path)
        if not path:
            return ImageSource()
        if is_url(path):
            raise ValueError(f"{path!r} is not the path of a file; URLs are not fetched.")
        full = self.folder / path
        if self.root is not None and not full.resolve().is_relative_to(self.root):
            raise ValueError(f"{path} is outside the image root {self.root}.")
        return ImageSource(path=str(full))

    def _digests(self, paths: Iterable[str]) -> dict[str, str | ValueError]:
        known = self.results.known_files(paths)
        found: dict[str, str | ValueError] = {}
        changed: list[tuple[str, int, int]] = []
        for path in paths:
            try:
                status = os.stat(path)
                if not status.st_size:
                    raise ValueError(f"{path} is empty.")
            except FileNotFoundError:
                found[path] = ValueError(f"{path}: no such file.")
            except (OSError, ValueError) as error:
                found[path] = ValueError(str(error))
            else:
                file = known.get(path)
                if file is not None and (file.size, file.changed) == (status.st_size, status.st_mtime_ns):
                    found[path] = file.digest
                else:
                    changed.append((path, status.st_size, status.st_mtime_ns))
        with ThreadPoolExecutor(HASHING_THREADS) as pool:
            digests = list(pool.map(_digest_or_error, [path for path, *_ in changed]))
        found |= {path: digest for (path, *_), digest in zip(changed, digests)}
        self.results.remember_files(
            {
                path: KnownFile(size, time, digest)
                for (path, size, time), digest in zip(changed, digests)
                if isinstance(digest, str)
            }
        )
        return found


def _digest_or_error(path: str) -> str | ValueError:
    try:
        return digest_of(path)
    except OSError as error:
        return ValueError(str(error))

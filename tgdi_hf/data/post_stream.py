"""Streams posts from a file or folder in the form that the pipeline expects, at constant memory."""

import json
from collections.abc import Generator, Iterator, Mapping
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import checked_post, is_missing
from .dataset_columns import undecoded
from .json_rows import Parsed
from .loading import read_table
from .row_reader import STANDARD_INPUT, Row, read_rows
from .table_cells import is_url, json_cell, objects_cell


def read_posts(
    path: str | Path, strict: bool = True, start: int = 0, need_entities: bool = True
) -> Iterator[dict[str, Any] | InvalidPost]:
    r"""
    Streams the posts of a file or folder.

    Args:
        path: A `.jsonl`, `.json`, `.csv` or `.parquet` file, of which all but the last may be compressed
            (`.jsonl.gz`); a folder made by `prepare` or `save_to_disk`; or `"-"`, JSON on the standard input. A `.json`
            file holds one object per line, an array of objects, or one object. Relative image paths start at the
            folder of the file. In CSV files empty cells are missing values, and lists are written as JSON.
        strict: Raise at the first invalid row; `False` yields an `InvalidPost` in its place, which the pipeline
            returns as an error.
        start: The number of rows to skip.
        need_entities: Whether a post needs head and tail, or entities.

    Yields:
        The posts, with file and line as `where` for later error messages. NaN becomes `None`.

    Raises:
        InvalidPost: A row is not a valid post; the message names file and line.
        ValueError: The file has another format, is damaged, or can't be read any further.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    for where, row in islice(_rows(path), start, None):
        post_id: str | int | float | None = None
        try:
            post = _as_mapping(row, where)
            post_id = _id_of(post)
            if "id" in post:
                post["id"] = post_id
            yield {**_checked(post, where, folder, need_entities), "where": where}
        except InvalidPost as error:
            if strict:
                raise
            error.id = post_id
            yield error


def check_posts(path: str | Path) -> None:
    r"""
    Reads the first row of a file, so that an unreadable file is refused before a model is loaded. Invalid posts are
    reported when they are read; the standard input is left untouched.

    Raises:
        ValueError: The file has another format, is damaged, is not encoded in UTF-8, or is an object that wraps the
            posts.
    """
    if str(path) != STANDARD_INPUT:
        with closing(_rows(Path(path))) as rows:
            next(rows, None)


def _rows(path: Path) -> Generator[tuple[str, Row], None, None]:
    """Name and content of each row of a file or folder, see `read_rows`."""
    if str(path) == STANDARD_INPUT or not path.is_dir():
        yield from read_rows(path)
        return
    for split, rows in read_table(path).items():
        for i, row in enumerate(undecoded(rows)):
            yield f"{path}, {split}, row {i}", row


def _as_mapping(row: Row, where: str) -> dict[str, Any]:
    if isinstance(row, InvalidPost):
        raise row
    if isinstance(row, bytes | Parsed):
        return _from_json(row, where)
    return {name: None if isinstance(cell, str) and cell == "" else cell for name, cell in row.items()}


def _from_json(row: bytes | Parsed, where: str) -> dict[str, Any]:
    if isinstance(row, Parsed):
        post = row.value
    else:
        try:
            post = json.loads(row)
        except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested too deeply
            found = row.decode(errors="replace").strip()[:80]
            raise InvalidPost(f"{where}: expected a JSON object, found {found!r} ({error}).") from None
    if not isinstance(post, dict):
        raise InvalidPost(f"{where}: expected an object with text, head and tail, found {post!r:.80}.")
    return post


def _id_of(post: Mapping[str, Any]) -> str | int | float | None:
    """The id of a post as a JSON value: Parquet may hold dates or decimals."""
    post_id = post.get("id")
    if is_missing(post_id):
        return None
    return post_id if isinstance(post_id, str | int | float) else str(post_id)


def _checked(post: dict[str, Any], where: str, folder: Path, need_entities: bool) -> dict[str, Any]:
    """The post with JSON cells parsed and image paths that start at `folder`."""
    post = checked_post(post, where, need_entities)
    for name in ("words", "entities"):
        if isinstance(post.get(name), str):
            post[name] = json_cell(post[name], where, name)
    # A string is a mention of the entity, unless it holds a JSON object.
    for name in ("head", "tail"):
        if isinstance(post.get(name), str) and post[name].lstrip().startswith("{"):
            post[name] = json_cell(post[name], where, name)
    objects = objects_cell(post["objects"], where) if "objects" in post else None
    if all(post.get(name) is None for name in ("text", "words")):
        raise InvalidPost(
            f"{where}: expected text (or words), head and tail, found {', '.join(post) or 'nothing'}.", "text"
        )
    if need_entities and post.get("entities") is None:
        for name in ("head", "tail"):
            if post.get(name) is None:
                raise InvalidPost(f"{where}: expected head and tail (or entities); {name} is missing.", name)
    post["image"] = _image(post.get("image"), folder, f"{where}, image", "image")
    if objects is not None:
        post["objects"] = [_image(part, folder, f"{where}, object {i}", "objects") for i, part in enumerate(objects)]
    return post


def _image(value: Any, folder: Path, where: str, field: str) -> Any:
    """A path as one that starts at `folder`; boxes and decoded images are returned unchanged."""
    if isinstance(value, Mapping) and value.get("bytes") is None and isinstance(value.get("path"), str):
        value = value["path"]  # images in Parquet files of `datasets`
    if not isinstance(value, str):
        return value
    if not value or is_url(value):
        raise InvalidPost(
            f"{where} is {value!r:.80}; expected the path of a file, or null if there is none. URLs are not fetched.",
            field,
        )
    return folder / value

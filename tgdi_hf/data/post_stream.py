"""Streams posts from a file or folder as the pipeline takes them, at constant memory."""

import json
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import checked_post, is_missing
from .dataset_columns import undecoded
from .json_rows import Parsed
from .loading import read_table
from .row_reader import STANDARD_INPUT, read_rows

# Columns of tables whose cells may be JSON; `head` and `tail` may too, or are what the entity is called.
JSON_CELLS = ("words", "entities", "objects")


def read_posts(
    path: str | Path, strict: bool = True, start: int = 0, need_entities: bool = True
) -> Iterator[dict[str, Any] | InvalidPost]:
    r"""
    Streams posts as the pipeline takes them, at constant memory.

    Args:
        path: A `.jsonl`, `.json`, `.csv` or `.parquet` file; all but the last may be compressed (`.jsonl.gz`). Or a
            folder that `prepare` or `save_to_disk` made; or `"-"`, JSON on the standard input. `.json` files may have
            one object per line, an array of objects, or one object. Relative paths of images start at the file's
            folder. In CSV files empty cells are missing values, and lists are JSON.
        strict: Stop at a bad row; `False` yields the `InvalidPost` in its place, which the pipeline passes on.
        start: How many rows to skip.
        need_entities: Whether a post has to have head and tail, or entities.

    Yields:
        The posts, with `where` naming file and line for later messages. NaN is `None`.

    Raises:
        InvalidPost: A row that is no post; the message names file and line.
        ValueError: A file of another kind, or one that can't be read on.
    """
    path = Path(path)
    folder = path if path.is_dir() else path.parent
    for where, row in islice(_rows(path), start, None):
        identity = None
        try:
            row = _as_mapping(row, where)
            identity = _identity(row.get("id"))
            if "id" in row:
                row["id"] = identity
            yield {**_post(row, where, folder, need_entities), "where": where}
        except InvalidPost as error:
            if strict:
                raise
            error.id = identity
            yield error


def check_posts(path: str | Path) -> None:
    r"""
    Refuses a file of posts that can't be read, by its first row, so that nobody waits for a model first. Rows that are
    no posts are reported when they are read; the standard input is not touched.

    Raises:
        ValueError: The file is of another kind, damaged, in another encoding, or an object that wraps the posts.
    """
    if str(path) != STANDARD_INPUT:
        rows = _rows(Path(path))
        next(rows, None)
        rows.close()


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Name and content of each row of a file or folder, see `read_rows`."""
    if str(path) != STANDARD_INPUT and path.is_dir():
        for split, rows in read_table(path).items():
            for i, row in enumerate(undecoded(rows)):
                yield f"{path}, {split}, row {i}", row
    else:
        yield from read_rows(path)


def _identity(value: Any) -> str | int | float | None:
    """What a post is called, as JSON has it. Tables may have dates or decimals for it."""
    if is_missing(value):
        return None
    return value if isinstance(value, str | int | float) else str(value)


def _as_mapping(row: Any, where: str) -> dict[str, Any]:
    if isinstance(row, InvalidPost):
        raise row
    if isinstance(row, bytes | Parsed):
        return _from_json(row, where)
    if None in row:
        raise InvalidPost(f"{where} has {len(row[None])} cells more than the first line has names.")
    return {name: None if isinstance(value, str) and value == "" else value for name, value in row.items()}


def _post(row: dict[str, Any], where: str, folder: Path, need_entities: bool) -> dict[str, Any]:
    row = checked_post(row, where, need_entities)
    for name in JSON_CELLS:
        if isinstance(row.get(name), str):
            row[name] = _cell(row[name], f"{where}, {name}", name)
    for name in ("head", "tail"):
        if isinstance(row.get(name), str) and row[name].lstrip().startswith("{"):
            row[name] = _cell(row[name], f"{where}, {name}", name)
    if all(row.get(name) is None for name in ("text", "words")):
        raise InvalidPost(
            f"{where}: expected text (or words), head and tail, found {', '.join(row) or 'nothing'}.", "text"
        )
    if need_entities and row.get("entities") is None:
        for name in ("head", "tail"):
            if row.get(name) is None:
                raise InvalidPost(f"{where}: expected head and tail (or entities); there is no {name}.", name)
    objects = row.get("objects")
    if not isinstance(objects, list | None):
        raise InvalidPost(f"{where}: `objects` is {objects!r:.80}; expected a list of boxes or paths.", "objects")
    row["image"] = _image(row.get("image"), folder, f"{where}, image", "image")
    if objects is not None:
        row["objects"] = [_image(part, folder, f"{where}, object {i}", "objects") for i, part in enumerate(objects)]
    return row


def _from_json(line: bytes | Parsed, where: str) -> dict[str, Any]:
    if isinstance(line, Parsed):
        post = line.value
    else:
        try:
            post = json.loads(line)
        except (ValueError, RecursionError) as error:  # not UTF-8, not JSON, or nested without end
            found = line.decode(errors="replace").strip()[:80]
            raise InvalidPost(f"{where}: expected a JSON object, found {found!r} ({error}).") from None
    if not isinstance(post, dict):
        raise InvalidPost(f"{where}: expected an object with text, head and tail, found {post!r:.80}.")
    return post


def _cell(text: str, where: str, field: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InvalidPost(f"{where}: expected JSON, such as [[0, 0, 20, 40]], found {text[:80]!r}.", field) from None


def _image(value: Any, folder: Path, where: str, field: str) -> Any:
    if isinstance(value, Mapping) and value.get("bytes") is None and isinstance(value.get("path"), str):
        value = value["path"]  # as `datasets` keeps images in Parquet
    if not isinstance(value, str):
        return value
    if not value or "://" in value:
        raise InvalidPost(
            f"{where} is {value!r:.80}; expected the path of a file, or null where there is none. URLs are not "
            "fetched.",
            field,
        )
    return folder / value

"""Files of posts, read and written row by row, whatever their size."""

import codecs
import csv
import io
import json
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..processing.invalid_post import InvalidPost
from ..processing.post_keys import checked_post, is_missing
from .json_rows import Parsed, json_rows
from .post_folders import check_separator
from .posts import format_of, opened, read_table, undecoded

if TYPE_CHECKING:
    import pyarrow

JSON_LINES, CSV, PARQUET = (".jsonl", ".json"), (".csv",), (".parquet",)
STANDARD_INPUT = "-"
ROWS_AT_A_TIME = 256  # of a Parquet file
LONGEST_CELL = 2**20  # a quote that is never closed would take in the rest of the file
ANEW = "Delete it and the .journal beside it to begin anew."
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


def check_output(path: Path, *further: str) -> None:
    """Raises ValueError for the name of a file that can't be written, by its suffix; `further` ones are allowed."""
    kinds = (".jsonl", *CSV, *PARQUET, *further)
    if path.suffix.lower() not in (*JSON_LINES, *kinds):
        raise ValueError(f"{path}: expected a name that ends in {', '.join(kinds[:-1])} or {kinds[-1]}.")


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Name and content of each row: a mapping of cells, or JSON, parsed or as the bytes of a line."""
    if str(path) == STANDARD_INPUT:
        yield from json_rows(sys.stdin.buffer, "standard input")
        return
    suffix = format_of(path)
    if path.is_dir():
        for split, rows in read_table(path).items():
            for i, row in enumerate(undecoded(rows)):
                yield f"{path}, {split}, row {i}", row
    elif suffix in JSON_LINES:
        with opened(path) as file:
            yield from json_rows(file, str(path))
    elif suffix in CSV:
        csv.field_size_limit(LONGEST_CELL)
        with opened(path) as file:
            if file.peek(2)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
                raise ValueError(f"{path} is in UTF-16; expected UTF-8. Save it in that encoding.")
            # What is no UTF-8 goes on as surrogates, and the row that has them is refused.
            lines = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
            yield from _csv_rows(path, csv.DictReader(lines, strict=True))
    elif suffix in PARQUET:
        import pyarrow as arrow
        import pyarrow.parquet as parquet

        try:  # without a limit the reader holds a whole row group, which may be most of the file
            opened_table = parquet.ParquetFile(path, buffer_size=2**20, pre_buffer=False)
        except arrow.ArrowInvalid as error:
            raise ValueError(f"{path} can't be read as Parquet: {error}") from error
        with opened_table as file:
            rows = (row for batch in file.iter_batches(ROWS_AT_A_TIME) for row in batch.to_pylist())
            for number, row in enumerate(rows):
                yield f"{path}, row {number}", row
    else:
        raise ValueError(
            f"{path}: expected a .jsonl, .csv or .parquet file, or a folder that `tgdi prepare` made. (.json may be "
            "JSON Lines or an array; .jsonl, .json and .csv may be compressed, .gz.)"
        )


def _csv_rows(path: Path, rows: csv.DictReader) -> Iterator[tuple[str, Any]]:
    try:
        names = rows.fieldnames  # reads the first line
    except csv.Error as error:
        raise ValueError(f"{path}, line 1: {error}; expected the names of the columns.") from None
    if not names:
        return
    check_separator(path, names)
    while True:
        before = rows.reader.line_num
        try:
            row = next(rows, None)
        except csv.Error as error:
            if "unexpected end" in str(error):
                raise ValueError(
                    f"{path}, line {before + 1}: a quote that is opened here is never closed, so the rest of the file "
                    'can\'t be read. Close it, or double it ("") where it is meant as a quote.'
                ) from None
            if "field limit" in str(error):
                error = f"a cell of more than {LONGEST_CELL:,} characters; is a quote opened and never closed?"
            lines = f"lines {before + 1} to {rows.reader.line_num}"
            yield f"{path}, {lines}", InvalidPost(f"{path}, {lines}: {error}. Quotes inside of a cell are doubled.")
            continue
        if row is None:
            return
        yield f"{path}, line {rows.reader.line_num}", row


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


class RowWriter:
    r"""
    Writes rows to a `.jsonl`, `.csv` or `.parquet` file, part by part. Between two parts the file on disk is
    consistent, and `position` says how far it goes.

    Parts of a Parquet file are files of their own in a folder beside it until `finish` joins them, because such a file
    is of no use before its end is written.

    Args:
        path: The file that is to come; what is not finished has the suffix `.part`.
        columns: Name and type (`str`, `float`, `int`) of the columns of CSV and Parquet. Other values of a row are
            left out there; lists and mappings become JSON.
        position: Go on from here, and forget what comes after.
        published: Whether `finish` may have been called already, though nobody took note.
    """

    def __init__(self, path: Path, columns: Mapping[str, type], position: int = 0, published: bool = False):
        self.path, self.columns, self.position = path, columns, position
        self.part = path.with_name(path.name + ".part")
        self.kind = path.suffix.lower()
        check_output(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        if self.kind in PARQUET:
            self.part.mkdir(exist_ok=True)
            lost = [number for number in range(position) if not (self.part / f"{number:08}.parquet").is_file()]
            if lost:
                raise ValueError(f"{self.part} lacks {lost[0]:08}.parquet, so it can't be gone on with. {ANEW}")
            for file in self.part.glob("*.parquet"):
                if int(file.stem) >= position:
                    file.unlink()
            return
        if published and position and not self.part.exists() and path.exists():
            path.replace(self.part)
        size = self.part.stat().st_size if self.part.exists() else 0
        if size < position:
            raise ValueError(f"{self.part} has {size} bytes, and had {position}; it can't be gone on with. {ANEW}")
        with self.part.open("ab") as file:
            file.truncate(position)
        if self.kind in CSV and not position:
            self._append(_csv_lines([list(columns)]))

    def write(self, rows: Sequence[Mapping[str, Any]]) -> int:
        """Adds rows, on the disk when it returns; gives the new position."""
        if self.kind in PARQUET:
            self._write_table(rows)
        elif self.kind in CSV:
            self._append(_csv_lines([[_plain(row.get(name)) for name in self.columns] for row in rows]))
        else:
            self._append("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows))
        return self.position

    def _append(self, text: str) -> None:
        with self.part.open("ab") as file:
            file.write(text.encode("utf-8", "backslashreplace"))
            file.flush()
            os.fsync(file.fileno())
            self.position = file.tell()

    def _write_table(self, rows: Sequence[Mapping[str, Any]]) -> None:
        import pyarrow.parquet as parquet

        file = self.part / f"{self.position:08}.parquet"
        with file.with_suffix(".new").open("wb") as new:
            parquet.write_table(table_of(rows, self.columns), new)
            new.flush()
            os.fsync(new.fileno())
        file.with_suffix(".new").replace(file)
        self.position += 1

    def finish(self) -> None:
        """Gives the file its name. What a Parquet file was made of stays until `discard`."""
        if self.kind not in PARQUET:
            self.part.replace(self.path)
            return
        import pyarrow.parquet as parquet

        files = sorted(self.part.glob("*.parquet"))
        if not files:
            self._write_table([])
            files = sorted(self.part.glob("*.parquet"))
        joined = self.part / "joined"
        with parquet.ParquetWriter(joined, parquet.read_schema(files[0])) as writer:
            for file in files:
                writer.write_table(parquet.read_table(file))
        joined.replace(self.path)

    def discard(self) -> None:
        """Removes what is unfinished."""
        if self.part.is_dir():
            for file in self.part.iterdir():
                file.unlink()
            self.part.rmdir()
        else:
            self.part.unlink(missing_ok=True)


def table_of(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, type]) -> "pyarrow.Table":
    """Rows as a table whose columns and types do not depend on what is in them; lists and mappings become JSON."""
    import pyarrow as arrow

    types = {str: arrow.string(), float: arrow.float64(), int: arrow.int64()}
    schema = arrow.schema([(name, types[kind]) for name, kind in columns.items()])
    typed = [{name: _typed(row.get(name), kind) for name, kind in columns.items()} for row in rows]
    return arrow.Table.from_pylist(typed, schema)


def _csv_lines(rows: Iterable[Sequence[Any]]) -> str:
    from io import StringIO

    text = StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue()


def _plain(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list | dict) else value


def _typed(value: Any, kind: type) -> Any:
    value = _plain(value)
    if value is None:
        return None
    if kind is str:
        return str(value).encode("utf-8", "backslashreplace").decode()
    return kind(value)

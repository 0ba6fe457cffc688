"""Reads rows of JSON one by one from JSON Lines, an array of objects, or objects over several lines."""

import codecs
import gzip
import io
import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

from ..processing.post_keys import POST_KEYS

CHUNK = 2**20  # bytes per read
LONGEST_ITEM = 2**26  # characters; without a limit a missing bracket would read the whole file into one item
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_WRAPPER = re.compile(r'[{,]\s*"([^"\\]+)"\s*:\s*\[\s*\{')


BinaryFile = BinaryIO | io.BufferedReader | gzip.GzipFile


class Parsed(NamedTuple):
    """A row that is already parsed; any JSON value."""

    value: Any


def json_rows(file: BinaryFile, name: str, refuse_wrapped: bool = True) -> Iterator[tuple[str, bytes | Parsed]]:
    r"""
    Reads rows of JSON one by one, at constant memory.

    Args:
        file: JSON Lines, an array, or consecutive objects that may span several lines.
        name: Name of the file in error messages.
        refuse_wrapped: Whether a single object with a list of objects is refused as a wrapper of the rows.

    Yields:
        The name of the row in error messages, and the row: the bytes of a line of JSON Lines, or `Parsed`.

    Raises:
        ValueError: The file is an object that wraps the rows (see `refuse_wrapped`), is in UTF-16, or has invalid JSON
            inside an array or between objects, after which rows cannot be delimited.
    """
    head, number = b"", 0
    while not head.strip():
        head, number = file.readline(CHUNK), number + 1
        if not head:
            return
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError(f"{name} is in UTF-16; expected UTF-8. Save it as UTF-8.")
        head = head.removeprefix(codecs.BOM_UTF8)
    if head.lstrip().startswith(b"[") and not (head.endswith(b"\n") and _is_json(head)):
        yield from _items(_Scanner(head, file, number), name)
        return
    if not head.endswith(b"\n"):
        head += file.readline()
    if head.lstrip().startswith(b"["):  # the array is the whole file if nothing follows, else an invalid line
        rest = _next_line(file)
        if not rest.strip():
            yield from _items(_Scanner(head, file, number), name)
            return
        yield from _lines(head + rest, file, name, number)
        return
    if _may_continue(head):
        text = _Scanner(head, file, number)
        try:
            first = text.value()
        except _InvalidJson:
            yield from _lines(text.read, file, name, number)
            return
        yield from _objects(text, first, name, number, refuse_wrapped)
        return
    if refuse_wrapped and (wrapper := _wrapper(head)) is not None:
        rest = _next_line(file)
        if not rest.strip():
            raise _wrapped(name, wrapper)
        head += rest
    yield from _lines(head, file, name, number)


def _next_line(file: BinaryFile) -> bytes:
    """Reads up to and including the next line that is not blank."""
    lines = b""
    while line := file.readline():
        lines += line
        if line.strip():
            break
    return lines


def _lines(head: bytes, file: BinaryFile, name: str, number: int) -> Iterator[tuple[str, bytes]]:
    """The lines of JSON Lines, of which `head` has been read; `number` is that of its first line."""
    *complete, last = head.split(b"\n")
    first = [*complete, last + file.readline()] if last else complete
    for line_number, line in enumerate(chain(first, file), start=number):
        if line.strip():
            yield f"{name}, line {line_number}", line


def _items(text: "_Scanner", name: str) -> Iterator[tuple[str, Parsed]]:
    """The items of the array at which the scanner starts."""

    def invalid(line: int, problem: str) -> ValueError:
        return ValueError(
            f"{name}, line {line}: {problem}. The rest of the array can't be read; in JSON Lines (.jsonl), one object "
            "per line, only this row would be lost."
        )

    text.take()
    number = 0
    if text.peek() != "]":
        while True:
            line = text.line
            try:
                value = text.value()
            except _InvalidJson as error:
                raise invalid(error.line, f"item {number} is not JSON: {error}") from None
            yield f"{name}, item {number} (line {line})", Parsed(value)
            number += 1
            after = text.peek()
            if after == "]":
                break
            if after != ",":
                found = f"found {after!r}" if after else "the file ends"
                raise invalid(text.line, f"expected ',' or ']' after item {number - 1}, {found}")
            text.take()
            text.peek()
    text.take()
    if after := text.peek():
        raise invalid(text.line, f"expected nothing after the end of the array, found {after!r}")


def _objects(text: "_Scanner", value: Any, name: str, line: int, refuse_wrapped: bool) -> Iterator[tuple[str, Parsed]]:
    """Consecutive objects, the first of which has been parsed."""
    number = 0
    if refuse_wrapped and not text.peek() and (wrapper := _wrapper_of(value)) is not None:
        raise _wrapped(name, wrapper)
    while True:
        yield f"{name}, item {number} (line {line})", Parsed(value)
        if not text.peek():
            return
        line, number = text.line, number + 1
        try:
            value = text.value()
        except _InvalidJson as error:
            raise ValueError(
                f"{name}, line {error.line}: item {number} is not JSON: {error}. The rest of the file can't be read; "
                "in JSON Lines (.jsonl), one object per line, only this row would be lost."
            ) from None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _may_continue(line: bytes) -> bool:
    """Whether a line may be the beginning of an object over several lines: it is valid up to its end."""
    try:
        text = line.decode().rstrip()
        json.loads(text)
    except json.JSONDecodeError as error:
        return text.lstrip().startswith("{") and error.pos >= len(text)
    except (ValueError, RecursionError):
        return False
    return False


def _wrapper(line: bytes) -> str | None:
    # Only a line that looks like a wrapper is parsed: most lines are posts.
    try:
        return _wrapper_of(json.loads(line)) if _WRAPPER.search(line.decode()) else None
    except (ValueError, RecursionError):
        return None


def _wrapper_of(value: Any) -> str | None:
    """The key of the posts in an object that wraps them; `None` for a post."""
    if not isinstance(value, dict) or any(key in value for key in ("text", "words")):
        return None
    return next(
        (
            key
            for key, part in value.items()
            if key not in POST_KEYS and isinstance(part, list) and part and all(isinstance(item, dict) for item in part)
        ),
        None,
    )


def _wrapped(name: str, key: str) -> ValueError:
    return ValueError(
        f"{name} is an object that has the posts under {key!r}; expected the posts themselves, one per line or as an "
        f"array. Extract them, for example with: jq -c '.[\"{key}\"][]' FILE > posts.jsonl"
    )


class _InvalidJson(ValueError):
    """Invalid JSON, with the line of the error."""

    def __init__(self, message: str, line: int):
        super().__init__(message)
        self.line = line


class _Scanner:
    r"""
    Scans JSON values in a file, with no more of its text in memory than one value needs.

    Args:
        head: The bytes already read.
        file: The rest of the file.
        line: The number of the first line of `head`.

    Attributes:
        line: The number of the current line.
        read: All bytes read until the first value is complete, so that the file can be read as JSON Lines instead.
    """

    def __init__(self, head: bytes, file: BinaryFile, line: int):
        self.line, self.read, self._file, self._position, self._ended = line, head, file, 0, False
        # Invalid UTF-8 becomes surrogates, so that only the row that contains it is refused.
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._text = self._decode(head)
        self._is_first = True
        self.peek()

    def peek(self) -> str:
        """The next character that is not whitespace; "" at the end of the file."""
        while True:
            space = _SPACE.match(self._text, self._position)
            assert space is not None  # the pattern matches the empty string
            self._advance(space.end())
            if self._position < len(self._text) or not self._read_more():
                return self._text[self._position : self._position + 1]

    def take(self) -> None:
        """Skips one character."""
        self._advance(self._position + 1)

    def value(self) -> Any:
        """Parses the value at the current position."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                # The value may be cut off at the end of the text read so far; literals and escapes are short.
                is_cut = len(self._text) - error.pos < 16 or error.msg.startswith("Unterminated string")
                line = self.line + self._text.count("\n", self._position, error.pos)
                found = self._text[error.pos : error.pos + 40]
                if is_cut and len(self._text) - self._position < LONGEST_ITEM and self._read_more():
                    continue
                raise _InvalidJson(f"{error.msg}, found {found!r}" if found else error.msg, line) from None
            except RecursionError:
                raise _InvalidJson("nested too deeply", self.line) from None
            length = end - self._position
            if end < len(self._text) or not self._read_more():
                self._advance(self._position + length)
                self._is_first, self.read = False, b""
                return value

    def _advance(self, position: int) -> None:
        self.line += self._text.count("\n", self._position, position)
        self._position = position

    def _read_more(self) -> bool:
        """Doubles the text, so that a long value is not parsed too often; `False` at the end of the file."""
        if self._ended:
            return False
        chunk = self._file.read(max(CHUNK, len(self._text) - self._position))
        if self._is_first:
            self.read += chunk
        self._ended = not chunk
        self._text = self._text[self._position :] + self._decode(chunk, final=self._ended)
        self._position = 0
        return not self._ended

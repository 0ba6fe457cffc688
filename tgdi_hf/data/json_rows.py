"""JSON in all the forms in which people keep rows: JSON Lines, an array of objects, or objects over several lines."""

import codecs
import json
import re
from collections.abc import Iterator
from itertools import chain
from typing import Any, BinaryIO, NamedTuple

from ..processing.post_keys import POST_KEYS

CHUNK = 2**20  # bytes that are read at once
LONGEST_ITEM = 2**26  # characters of one object; without a limit a missing bracket would take in the whole file
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()
_WRAPPER = re.compile(r'[{,]\s*"([^"\\]+)"\s*:\s*\[\s*\{')


class Parsed(NamedTuple):
    """A row that has been read from JSON already, whatever it is."""

    value: Any


def json_rows(file: BinaryIO, name: str) -> Iterator[tuple[str, bytes | Parsed]]:
    r"""
    Reads rows of JSON one after the other, at constant memory.

    Args:
        file: JSON Lines; or an array; or objects one after the other, each over as many lines as it likes.
        name: Of the file, in messages.

    Yields:
        What to call a row in messages, and the row: the bytes of a line of JSON Lines, or `Parsed`.

    Raises:
        ValueError: The file is an object that wraps the rows, is not in UTF-8, or an array in which something is no
            JSON: what comes after it can't be told apart.
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
        yield from _items(_Text(head, file, number), name)
        return
    if not head.endswith(b"\n"):
        head += file.readline()
    if head.lstrip().startswith(b"["):  # on one line: is it the file, or is it one of its lines, and a bad one?
        rest = _next_line(file)
        if not rest.strip():
            yield from _items(_Text(head, file, number), name)
            return
        yield from _lines(head + rest, file, name, number)
        return
    if _may_go_on(head):
        text = _Text(head, file, number)
        try:
            first = text.value()
        except _NotJSON:
            yield from _lines(text.read, file, name, number)
            return
        yield from _objects(text, first, name, number)
        return
    if (wrapper := _wrapper(head)) is not None:
        rest = _next_line(file)
        if not rest.strip():
            raise _wrapped(name, wrapper)
        head += rest
    yield from _lines(head, file, name, number)


def _next_line(file: BinaryIO) -> bytes:
    """All up to and with the next line that is not empty."""
    found = b""
    while line := file.readline():
        found += line
        if line.strip():
            break
    return found


def _lines(head: bytes, file: BinaryIO, name: str, number: int) -> Iterator[tuple[str, bytes]]:
    *whole, last = head.split(b"\n")
    first = [*whole, last + file.readline()] if last else whole
    for place, line in enumerate(chain(first, file), start=number):
        if line.strip():
            yield f"{name}, line {place}", line


def _items(text: "_Text", name: str) -> Iterator[tuple[str, Parsed]]:
    """The items of the array that begins the text."""

    def broken(line: int, problem: str) -> ValueError:
        return ValueError(
            f"{name}, line {line}: {problem}. What comes after it in the array can't be read; in JSON Lines (.jsonl), "
            "one object per line, only that row would be lost."
        )

    text.take()
    number = 0
    if text.peek() != "]":
        while True:
            line = text.line
            try:
                value = text.value()
            except _NotJSON as error:
                raise broken(error.line, f"item {number} is not JSON: {error}") from None
            yield f"{name}, item {number} (line {line})", Parsed(value)
            number += 1
            after = text.peek()
            if after == "]":
                break
            if after != ",":
                found = f"found {after!r}" if after else "the file ends"
                raise broken(text.line, f"expected ',' or ']' after item {number - 1}, {found}")
            text.take()
            text.peek()
    text.take()
    if after := text.peek():
        raise broken(text.line, f"expected nothing after the end of the array, found {after!r}")


def _objects(text: "_Text", value: Any, name: str, line: int) -> Iterator[tuple[str, Parsed]]:
    """Objects one after the other, the first of which has been read."""
    number = 0
    if not text.peek() and (wrapper := _wrapper_of(value)) is not None:
        raise _wrapped(name, wrapper)
    while True:
        yield f"{name}, item {number} (line {line})", Parsed(value)
        if not text.peek():
            return
        line, number = text.line, number + 1
        try:
            value = text.value()
        except _NotJSON as error:
            raise ValueError(
                f"{name}, line {error.line}: item {number} is not JSON: {error}. What comes after it can't be read; in "
                "JSON Lines (.jsonl), one object per line, only that row would be lost."
            ) from None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _may_go_on(line: bytes) -> bool:
    """Whether a line is the beginning of an object that goes on in the next line: it is sound as far as it goes."""
    try:
        text = line.decode().rstrip()
        json.loads(text)
    except json.JSONDecodeError as error:
        return text.lstrip().startswith("{") and error.pos >= len(text)
    except (ValueError, RecursionError):
        return False
    return False


def _wrapper(line: bytes) -> str | None:
    # Most lines are posts; only what looks like a wrapper is parsed.
    try:
        return _wrapper_of(json.loads(line)) if _WRAPPER.search(line.decode()) else None
    except (ValueError, RecursionError):
        return None


def _wrapper_of(value: Any) -> str | None:
    """The key under which an object that is no post has the posts."""
    if not isinstance(value, dict) or any(key in value for key in ("text", "words")):
        return None
    return next(
        (
            key
            for key, part in value.items()
            if key not in POST_KEYS and isinstance(part, list) and part and all(isinstance(one, dict) for one in part)
        ),
        None,
    )


def _wrapped(name: str, key: str) -> ValueError:
    return ValueError(
        f"{name} is an object that has the posts under {key!r}; expected the posts themselves, one per line or as an "
        f"array. Unwrap them, for example with: jq -c '.[\"{key}\"][]' FILE > posts.jsonl"
    )


class _NotJSON(ValueError):
    def __init__(self, message: str, line: int):
        super().__init__(message)
        self.line = line


class _Text:
    """The text of a file, of which no more is in memory than one value needs."""

    def __init__(self, head: bytes, file: BinaryIO, line: int):
        self.line, self.read, self._file, self._position, self._ended = line, head, file, 0, False
        # What is no UTF-8 goes on as surrogates, and the row that has them is refused.
        self._decode = codecs.getincrementaldecoder("utf-8")("surrogateescape").decode
        self._text = self._decode(head)
        self._is_first = True
        self.peek()

    def peek(self) -> str:
        """The next character that is no space; "" at the end."""
        while True:
            self._advance(_SPACE.match(self._text, self._position).end())
            if self._position < len(self._text) or not self._more():
                return self._text[self._position : self._position + 1]

    def take(self) -> None:
        self._advance(self._position + 1)

    def value(self) -> Any:
        """The value that begins here."""
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._position)
            except json.JSONDecodeError as error:
                # What is cut off where the text ends so far may be sound; literals and escapes are short.
                is_cut = len(self._text) - error.pos < 16 or error.msg.startswith("Unterminated string")
                line = self.line + self._text.count("\n", self._position, error.pos)
                found = self._text[error.pos : error.pos + 40]
                if is_cut and len(self._text) - self._position < LONGEST_ITEM and self._more():
                    continue
                raise _NotJSON(f"{error.msg}, found {found!r}" if found else error.msg, line) from None
            except RecursionError:
                raise _NotJSON("nested too deeply", self.line) from None
            length = end - self._position
            if end < len(self._text) or not self._more():
                self._advance(self._position + length)
                self._is_first, self.read = False, b""
                return value

    def _advance(self, position: int) -> None:
        self.line += self._text.count("\n", self._position, position)
        self._position = position

    def _more(self) -> bool:
        """Reads on; as much again as there is, so that a long value is not tried too often."""
        if self._ended:
            return False
        chunk = self._file.read(max(CHUNK, len(self._text) - self._position))
        if self._is_first:  # to begin anew, should it be JSON Lines after all
            self.read += chunk
        self._ended = not chunk
        self._text = self._text[self._position :] + self._decode(chunk, final=self._ended)
        self._position = 0
        return not self._ended

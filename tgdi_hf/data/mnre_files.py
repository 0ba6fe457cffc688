"""Parses MNRE's text files: posts, captions, image-text relevance and relation ids."""

import ast
import difflib
import json
import math
from collections import defaultdict
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


class CorpusError(ValueError):
    r"""
    An invalid line, file or folder of a corpus.

    Args:
        file: The file or folder.
        line: The line, counted from 1; `None` if the file is invalid as a whole.
        reason: What was expected and what was found.
    """

    def __init__(self, file: str | Path, line: int | None, reason: str):
        super().__init__(str(file), line, reason)
        self.file, self.line, self.reason = str(file), line, reason

    def __str__(self) -> str:
        return f"{self.file}{'' if self.line is None else f', line {self.line}'}: {self.reason}"


# Raises the error, or records it and lets the line be skipped.
Report = Callable[[CorpusError], None]


def read_relations(file: Path) -> tuple[str, ...]:
    """The relations in a JSON object from relations to ids, in the order of their ids, which are 0 to L - 1."""
    expected = "expected a JSON object from relations to ids"
    try:
        ids = json.loads(file.read_bytes())
    except ValueError as error:
        raise CorpusError(file, None, f"{expected} ({error}).") from None
    if not isinstance(ids, dict) or not ids:
        raise CorpusError(file, None, f"{expected}, found {brief(ids)}.")
    by_id: dict[int, str] = {}
    for name, i in ids.items():
        if type(i) is not int or not 0 <= i < len(ids):
            raise CorpusError(file, None, f"{expected} from 0 to {len(ids) - 1}; {name!r} is {brief(i)}.")
        if not is_text(name) or not name.strip():
            raise CorpusError(file, None, f"{expected}, found the relation {name!r}.")
        if by_id.setdefault(i, name) != name:
            raise CorpusError(file, None, f"{expected}, one id per relation; {by_id[i]!r} and {name!r} are both {i}.")
    return tuple(by_id[i] for i in range(len(by_id)))


def lines_of(file: Path) -> list[bytes]:
    """The lines of a file without trailing blank ones. Only a newline ends a line: tweets contain other separators."""
    lines = file.read_bytes().split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def parse_lines(file: Path, parse: Callable[[str], T], report: Report) -> dict[int, T]:
    """Parses the lines of a file, numbered from 0. A line at which `parse` fails is reported and skipped."""
    parsed = {}
    for index, line in enumerate(lines_of(file)):
        try:
            parsed[index] = parse(line.decode("utf-8-sig").strip())
        except ValueError as error:
            report(CorpusError(file, index + 1, str(error)))
    return parsed


def _parse_dict(line: str, keys: tuple[str, ...]) -> dict[str, Any]:
    # JSON first: a JSON string with escaped surrogates is also a valid Python literal, but of another string.
    for parse in (json.loads, ast.literal_eval):
        try:
            record = parse(line)
            break
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    else:
        raise ValueError(f"expected a dict in Python or JSON syntax, found {brief(line)}.")
    if not isinstance(record, dict):
        raise ValueError(f"expected a dict, found {brief(record)}.")
    missing = [key for key in keys if key not in record]
    if missing:
        raise ValueError(f"expected a dict with {', '.join(keys)}; {', '.join(missing)} missing.")
    return record


def parse_post(line: str, relations: Collection[str] | None = None, listed_in: str = "") -> dict[str, Any]:
    r"""
    Args:
        line: A dict in Python or JSON syntax.
        relations: The relations of the corpus; any name by default.
        listed_in: Where these are listed, for the message about another one.

    Raises:
        ValueError: The line is not a dict with words, two spans, an image name and a relation.
    """
    record = _parse_dict(line, ("token", "h", "t", "img_id", "relation"))
    words, relation = record["token"], record["relation"]
    if not isinstance(words, list) or not words or not all(map(is_text, words)):
        raise ValueError(f"`token` is {brief(words)}; expected a list of strings, at least one word.")
    if not is_text(record["img_id"]):
        raise ValueError(f"`img_id` is {brief(record['img_id'])}; expected the file name of an image.")
    for key in ("h", "t"):
        _check_span(key, record[key], len(words))
    if not is_text(relation) or not relation.strip():
        raise ValueError(f"`relation` is {brief(relation)}; expected the name of a relation.")
    if relations is not None and relation not in relations:
        near = difflib.get_close_matches(relation, relations, n=1)
        hint = f", did you mean {near[0]!r}?" if near else ""
        raise ValueError(
            f"unknown relation {brief(relation)}{hint}; expected one of the {len(relations)} relations of {listed_in}."
        )
    return record


def _check_span(key: str, entity: Any, length: int) -> None:
    span = entity.get("pos") if isinstance(entity, dict) else None
    # `type`, not `isinstance`: True is an int.
    if not isinstance(span, list | tuple) or len(span) != 2 or any(type(end) is not int for end in span):
        raise ValueError(f"`{key}` is {brief(entity)}; expected a dict whose `pos` is [start, end) in words.")
    start, end = span
    if start >= end:
        raise ValueError(f"`pos` of `{key}` is {list(span)}, which is {'empty' if start == end else 'reversed'}.")
    if start < 0 or end > length:
        raise ValueError(f"`pos` of `{key}` is {list(span)}, outside the {length} words of `token`.")


def _parse_caption(line: str) -> tuple[str, str]:
    record = _parse_dict(line, ("img_id", "text"))
    if not (is_text(record["img_id"]) and is_text(record["text"])):
        raise ValueError(f"expected strings as `img_id` and `text`, found {brief(record)}.")
    return record["img_id"], record["text"]


def _parse_relevance(line: str) -> tuple[str, float]:
    image, _, value = line.partition("\t")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not image or not 0 <= number <= 1:
        raise ValueError(f"expected the file name of an image, a tab, and a number from 0 to 1; found {brief(line)}.")
    return image, number


def read_captions(file: Path, report: Report) -> dict[str, str]:
    captions: dict[str, str] = {}
    for index, (image, text) in (parse_lines(file, _parse_caption, report) if file.is_file() else {}).items():
        if captions.setdefault(image, text) != text:
            reason = f"a second caption of {image}, {brief(text)}; the first was {brief(captions[image])}."
            report(CorpusError(file, index + 1, reason))
    return {image: text for image, text in captions.items() if text.strip()}


def read_relevance(folder: Path, name: str, report: Report) -> dict[str, float]:
    values: dict[str, list[float]] = defaultdict(list)
    for file in (folder / "relevance" / name, folder / "txt" / name):
        if file.is_file():
            for image, value in parse_lines(file, _parse_relevance, report).values():
                values[image].append(value)
            break
    return {image: math.fsum(numbers) / len(numbers) for image, numbers in values.items()}


def is_text(value: Any) -> bool:
    """Whether `value` is a string that UTF-8 can encode; a lone surrogate cannot be encoded."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."

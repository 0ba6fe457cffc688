"""Reading word vectors from text files in the format of GloVe."""

import re
from array import array
from collections.abc import Callable
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import torch

HEADER = re.compile(rb"\d+ \d+\s*")  # numbers of words and of dimensions, which word2vec and fastText write


class WordVectors(NamedTuple):
    r"""
    Args:
        words (`list` of `str`): Distinct words, in the order of the file.
        vectors (`torch.Tensor`): `(words, word_size)`.
    """

    words: list[str]
    vectors: torch.Tensor


def read_glove(path: str | Path, is_word: Callable[[str], bool]) -> WordVectors:
    r"""
    Reads a word and its numbers per line, separated by single spaces. The file is read line by line into one array, so
    that the memory required is little more than that of the vectors. The first vector of a repeated word counts.

    Args:
        path: The file, uncompressed.
        is_word: Whether a word is needed; a tokenizer never produces some of a file's words.

    Raises:
        ValueError: A line is not UTF-8, differs in width from the first one, or has something other than finite
            numbers (the message names file and line); or no word of the file is needed.
    """
    words: dict[str, None] = {}
    numbers, width = array("f"), 0
    with Path(path).open("rb") as file:
        for line_number, line in enumerate(file, start=1):
            if line_number == 1 and HEADER.fullmatch(line):
                continue
            try:
                word, vector = word_and_vector(line, width)
            except ValueError as error:
                raise ValueError(f"{path}, line {line_number}: {error}.") from None
            width = len(vector)
            if word not in words and is_word(word):
                words[word] = None
                numbers.extend(vector)
    if not words:
        raise ValueError(f"{path} has none of the words that the tokenizer produces; expected lower-case words.")
    return WordVectors(list(words), torch.frombuffer(numbers, dtype=torch.float32).view(len(words), width))


def word_and_vector(line: bytes, width: int) -> tuple[str, list[float]]:
    r"""
    Splits a line. The word may contain spaces, as some in GloVe's 840B file do.

    Args:
        line: The line, as it is in the file.
        width: The number of numbers in the lines before; 0 for the first line.

    Raises:
        ValueError: Not a word and `width` finite numbers.
    """
    try:
        fields = line.decode("utf-8").rstrip(" \r\n").split(" ")
    except UnicodeDecodeError:
        raise ValueError("not UTF-8; expected a text file of word vectors, unpacked") from None
    found = len(fields) - 1
    width = width or found
    # Without the second condition, the surplus numbers of a long line would count as part of its word.
    if not 0 < width <= found or (width < found and all(is_number(field) for field in fields[1:-width])):
        expected = f"{width} numbers, as in the first line" if width else "its numbers"
        raise ValueError(f"expected a word and {expected}, found {found}")
    vector = [float(field) for field in fields[-width:]]
    if not isfinite(sum(vector)):
        raise ValueError("expected finite numbers")
    return " ".join(fields[:-width]), vector


def is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True

"""Posts of one's own: files of them, and what is said in them of entities and pictures."""

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from datasets import DatasetDict, Image, List, load_dataset, load_from_disk

from .mnre import load_mnre
from .processing.entity_markers import check_span, words_to_text

READERS = {".jsonl": "json", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
SPLITS = ("train", "validation", "test")


def read_table(path: str | Path, objects: str = "none", cache_dir: str | Path | None = None) -> DatasetDict:
    r"""
    Reads posts as they are.

    Args:
        path: A JSON Lines, CSV or Parquet file; a folder with `train.*`, and if need be `validation.*` and `test.*`, of
            one of these kinds; a folder made by `prepare` or `save_to_disk`; or an MNRE folder.
        objects: See `load_mnre`.
        cache_dir: Where `datasets` keeps what it has read.

    Returns:
        `DatasetDict`; a single file is its `train`.

    Raises:
        ValueError: Nothing of the kind is there, or a file can't be read; the message names it.
    """
    path = Path(path)
    for folder in (path, path / "dataset"):
        if (folder / "dataset_dict.json").is_file():
            return load_from_disk(str(folder))
    if (path / "state.json").is_file():
        return DatasetDict(train=load_from_disk(str(path)))
    if (path / "txt").is_dir():
        return load_mnre(path, objects=objects)
    files = {"train": path} if path.is_file() else _split_files(path)
    kinds = {READERS.get(file.suffix.lower()) for file in files.values()}
    if not files or len(kinds) > 1 or None in kinds:
        raise ValueError(
            f"{path}: expected a .jsonl, .csv or .parquet file; a folder with train, validation and test files of one "
            "of these kinds, one made by `save_to_disk`, or one in MNRE's layout."
        )
    if empty := [file for file in files.values() if not file.stat().st_size]:
        raise ValueError(f"{empty[0]} is empty; expected posts.")
    try:
        return load_dataset(
            kinds.pop(), data_files={split: str(file) for split, file in files.items()}, cache_dir=cache_dir
        )
    except Exception as error:  # builders raise whatever the parsers do, wrapped
        cause = error.__cause__ or error
        raise ValueError(f"{', '.join(map(str, files.values()))} can't be read: {cause!r}") from error


def _split_files(folder: Path) -> dict[str, Path]:
    found = {split: [file for file in folder.glob(f"{split}.*") if file.suffix.lower() in READERS] for split in SPLITS}
    several = [split for split, files in found.items() if len(files) > 1]
    if several:
        names = ", ".join(file.name for file in found[several[0]])
        raise ValueError(f"{folder} has several files of the split {several[0]!r}: {names}. Leave one.")
    return {split: files[0] for split, files in found.items() if files}


def undecoded(dataset):
    """Leaves images to the collator, which decodes each distinct picture of a batch once, in the dataloader workers."""
    for name, feature in dataset.features.items():
        if isinstance(feature, Image):
            dataset = dataset.cast_column(name, Image(decode=False))
        elif isinstance(feature, List) and isinstance(feature.feature, Image):
            dataset = dataset.cast_column(name, List(Image(decode=False)))
    return dataset


def digest_of(picture: bytes | str | Path) -> str:
    """Names a picture by the content of its file, given as bytes or as a path."""
    content = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
    return hashlib.sha256(content).hexdigest()[:32]


def text_and_spans(
    row: Mapping[str, Any], where: str
) -> tuple[str, tuple[tuple[int, int], tuple[int, int]], tuple[tuple[int, int], tuple[int, int]]]:
    r"""
    Finds the entities of a post.

    Args:
        row: With `text` or `words`, and `head` and `tail`: a span `[start, end)` in characters or words, the same as
            JSON in a string, or what the entity is called in the text.
        where: Names the post in messages.

    Returns:
        The text; the spans of head and tail in characters; and the same in words where the post has words.

    Raises:
        ValueError: There is no text, or an entity is not in it, or is there more than once.
    """
    words = row.get("words")
    text, of_words = row.get("text"), None
    if words is not None:
        text, of_words = words_to_text(words, [(i, i + 1) for i in range(len(words))])
    if not isinstance(text, str) or not text.strip():
        raise ValueError(f"{where}: the post has no text.")
    unit, length = ("characters", len(text)) if words is None else ("words", len(words))
    found = []
    for name in ("head", "tail"):
        value = _span_or_mention(row.get(name))
        if isinstance(value, str):
            span = find_entity(text, value, name, where)
            found.append(span if of_words is None else _in_words(span, of_words))
        else:
            found.append(check_span(value, length, name, unit, where))
    in_characters = found if of_words is None else [(of_words[start][0], of_words[end - 1][1]) for start, end in found]
    return text, tuple(in_characters), tuple(found)


def _span_or_mention(value: Any) -> Any:
    """Tables of strings have spans as `"[0, 3]"`."""
    if isinstance(value, str) and re.fullmatch(r"\s*[\[(]\s*\d+\s*,\s*\d+\s*[\])]\s*", value):
        return json.loads(value.replace("(", "[").replace(")", "]"))
    return value


def find_entity(text: str, mention: str, name: str, where: str) -> tuple[int, int]:
    r"""
    Where an entity stands that is given by what it is called. Occurrences inside of longer words count only if there
    are no others.

    Raises:
        ValueError: It is not in the text, or more than once; the message lists the places.
    """
    mention = mention.strip()
    places = [match.span() for match in re.finditer(re.escape(mention), text)] if mention else []
    whole = [
        (start, end)
        for start, end in places
        if not (start > 0 and text[start - 1].isalnum() and text[start].isalnum())
        and not (end < len(text) and text[end - 1].isalnum() and text[end].isalnum())
    ]
    places = whole or places
    if not places:
        raise ValueError(f"{where}: `{name}` is {mention!r}, which is not in the text: {text[:80]!r}.")
    if len(places) > 1:
        spans = ", ".join(f"[{start}, {end})" for start, end in places)
        raise ValueError(
            f"{where}: `{name}` is {mention!r}, which is in the text {len(places)} times; say which: {spans}."
        )
    return places[0]


def _in_words(span: tuple[int, int], words: Sequence[tuple[int, int]]) -> tuple[int, int]:
    inside = [i for i, (start, end) in enumerate(words) if start < span[1] and end > span[0]]
    return inside[0], inside[-1] + 1

"""MNRE's published object crops: their lists, whether they fit the rows, and how far they leak the label."""

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ..modeling.negative_label import NEGATIVE
from .mnre_files import CorpusError, brief, is_text, lines_of
from .mnre_layout import crops_file, find_layout, text_file


def read_crops(file: Path, rows: int) -> dict[int, list[str]]:
    """The names of the crops of each row, by number. Only plain containers are unpickled, so a file cannot run code."""
    if not file.is_file():
        raise CorpusError(file, None, "is missing; `objects='published'` requires it, `objects='none'` does not.")
    expected = "expected a pickled dict from row numbers to lists of file names"
    try:
        crops = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        # torch's own message suggests `weights_only=False`, which would run code in the file.
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        found = (
            f"a reference to {culprit[1]}" if culprit else f"content that torch.load refuses ({type(error).__name__})"
        )
        raise CorpusError(file, None, f"{expected}, found {found}; not loaded.") from None
    if not isinstance(crops, dict):
        raise CorpusError(file, None, f"{expected}, found {brief(crops)}.")
    for row, names in crops.items():
        if type(row) is not int or not isinstance(names, list) or not all(map(is_text, names)):
            raise CorpusError(file, None, f"{expected}, found the item {brief({row: names})}.")
    numbers = set(range(rows))
    if crops.keys() != numbers:
        wrong = [f"{sorted(crops.keys() - numbers)[:3]} unexpected"] if crops.keys() - numbers else []
        wrong += [f"{sorted(numbers - crops.keys())[:3]} missing"] if numbers - crops.keys() else []
        raise CorpusError(
            file,
            None,
            f"has crops for {len(crops)} rows ({', '.join(wrong)}), expected rows 0 to {rows - 1} of the text file. "
            "Crops are assigned to rows by number, so both files must come from the same release.",
        )
    return crops


def check_order(file: Path, phrases_file: Path, records: Mapping[int, Mapping[str, Any]]) -> None:
    r"""
    Refuses rows in another order than the published crops, which are listed by row number only.

    The phrases that the crops were detected with are also listed by row number, and begin with the entities. In MNRE
    the entities of every row share a word with the phrase of their row, and 0.5 % with that of another row. Up to 1 %
    without a shared word are tolerated, for unusual spellings.
    """
    if not phrases_file.is_file():
        return
    try:
        phrases = json.loads(phrases_file.read_bytes())
    except ValueError as error:
        raise CorpusError(phrases_file, None, f"expected a JSON object from rows to phrases ({error}).") from None
    if not isinstance(phrases, dict) or not all(isinstance(phrase, str) for phrase in phrases.values()):
        raise CorpusError(phrases_file, None, f"expected a JSON object from rows to phrases, found {brief(phrases)}.")
    unmatched = [
        index
        for index, record in records.items()
        if (words := _words_of_entities(record)) and words.isdisjoint(_alphanumeric(phrases.get(str(index), "")))
    ]
    if len(unmatched) > 0.01 * len(records):
        raise CorpusError(
            file,
            unmatched[0] + 1,
            f"here and in {len(unmatched) - 1} other rows the phrase in {phrases_file} has no word of the entities. "
            "Published crops, like phrases, are assigned to rows by number; expected the published order of rows.",
        )


def _words_of_entities(record: Mapping[str, Any]) -> set[str]:
    return set().union(*(_alphanumeric(" ".join(record["token"][slice(*record[key]["pos"])])) for key in ("h", "t")))


def _alphanumeric(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def listed_crops(folder: str | Path, split: str) -> dict[str, int]:
    r"""
    Counts the published crops listed for each row, whether or not their files exist. For audits of the leak; not an
    input of the model.

    Args:
        folder: See `load_mnre`.
        split: `"train"`, `"validation"` or `"test"`.

    Returns:
        The number of crops by the `id` of the row.
    """
    folder = Path(folder).expanduser().absolute()
    layout = find_layout(folder)
    if layout is None:
        raise CorpusError(folder, None, "not an MNRE corpus; expected one with published crops.")
    crops = read_crops(crops_file(folder, layout, split), len(lines_of(text_file(folder, layout, split))))
    return {f"{split}-{index}": len(names) for index, names in crops.items()}


def describe_leak(
    split: str, rows: Mapping[int, Mapping[str, Any]], crops: Mapping[int, list[str]], relations: Sequence[str]
) -> str:
    """The share of rows for which the number of listed crops tells `NEGATIVE` from the relations, in words."""
    label = relations.index(NEGATIVE)
    frequency = Counter((len(crops[index]), row["label"] == label) for index, row in rows.items())
    correct = sum(max(frequency[count, False], frequency[count, True]) for count in {count for count, _ in frequency})
    num_negative = sum(rows_of_kind for (_, is_negative), rows_of_kind in frequency.items() if is_negative)
    majority = max(num_negative, len(rows) - num_negative)
    listed = sum(count * rows_of_kind for (count, _), rows_of_kind in frequency.items())
    missing = listed - sum(len(row["objects"]) for row in rows.values())
    return (
        f"{100 * correct / len(rows):.1f} % of the {len(rows)} {split} rows, where the majority class is right on "
        f"{100 * majority / len(rows):.1f} % ({missing} of the {listed} crops have no file and are skipped)"
    )

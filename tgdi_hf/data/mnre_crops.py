"""MNRE's published object crops: their lists, whether they fit the rows, and how far they leak the label."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from ..modeling.negative_label import NEGATIVE
from .mnre_files import CorpusError, brief, is_text, lines_of
from .mnre_schema import RELATIONS, SPLITS, text_file


def read_crops(file: Path, rows: int) -> dict[int, list[str]]:
    """The names of the crops of each row. Unpickles nothing but plain containers, so a file cannot run code."""
    if not file.is_file():
        raise CorpusError(
            file, None, "is missing; objects='published' needs its lists of crops, objects='none' does not."
        )
    expected = "expected a pickled dict from row numbers to lists of file names"
    try:
        crops = torch.load(file, map_location="cpu", weights_only=True)
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise nearly anything
        # torch's message recommends to load the file with `weights_only=False`, which would run what is in it.
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        found = f"a reference to {culprit[1]}" if culprit else f"what torch.load refuses ({type(error).__name__})"
        raise CorpusError(file, None, f"{expected}, found {found}; not loaded.") from None
    if not isinstance(crops, dict):
        raise CorpusError(file, None, f"{expected}, found {brief(crops)}.")
    for row, names in crops.items():
        if type(row) is not int or not isinstance(names, list) or not all(map(is_text, names)):
            raise CorpusError(file, None, f"{expected}, found {brief({row: names})} in it.")
    numbers = set(range(rows))
    if crops.keys() != numbers:
        wrong = [f"{sorted(crops.keys() - numbers)[:3]} too many"] if crops.keys() - numbers else []
        wrong += [f"{sorted(numbers - crops.keys())[:3]} missing"] if numbers - crops.keys() else []
        raise CorpusError(
            file,
            None,
            f"has crops for {len(crops)} rows ({', '.join(wrong)}), expected rows 0 to {rows - 1} of the text file. "
            "Crops belong to rows by number, so both files must be of one release.",
        )
    return crops


def check_order(file: Path, phrases_file: Path, records: Mapping[int, Mapping[str, Any]]) -> None:
    """
    Refuses rows in another order than the published crops, which are listed by row number alone.

    The phrases that the crops were cut out with are listed by row number, too, and begin with the entities. In MNRE
    each row shares a word with its own phrase, and 0.5 % do with that of another row; 1 % is left to oddly spelt names.
    """
    if not phrases_file.is_file():
        return
    try:
        phrases = json.loads(phrases_file.read_bytes())
    except ValueError as error:
        raise CorpusError(phrases_file, None, f"expected a JSON object from rows to phrases ({error}).") from None
    if not isinstance(phrases, dict) or not all(isinstance(phrase, str) for phrase in phrases.values()):
        raise CorpusError(phrases_file, None, f"expected a JSON object from rows to phrases, found {brief(phrases)}.")
    strangers = [
        index
        for index, record in records.items()
        if (words := _words_of_entities(record)) and words.isdisjoint(_alphanumeric(phrases.get(str(index), "")))
    ]
    if len(strangers) > 0.01 * len(records):
        raise CorpusError(
            file,
            strangers[0] + 1,
            f"here and in {len(strangers) - 1} other rows no word of the entities is in the row's phrase in "
            f"{phrases_file}. Published crops, like phrases, belong to rows by number: expected the rows in their "
            "published order.",
        )


def _words_of_entities(record: Mapping[str, Any]) -> set[str]:
    return set().union(*(_alphanumeric(" ".join(record["token"][slice(*record[key]["pos"])])) for key in ("h", "t")))


def _alphanumeric(text: str) -> set[str]:
    return set(re.findall(r"\w+", text.lower()))


def listed_crops(folder: str | Path, split: str) -> dict[str, int]:
    r"""
    How many published crops are listed for each row, whether or not their files are there. For audits; never an input.

    Returns:
        From the rows' `id`s to numbers.
    """
    folder = Path(folder).expanduser().absolute()
    file = folder / "txt" / f"mre_{SPLITS[split][1]}_dict.pth"
    crops = read_crops(file, len(lines_of(text_file(folder, split))))
    return {f"{split}-{index}": len(names) for index, names in crops.items()}


def describe_leak(split: str, rows: Mapping[int, Mapping[str, Any]], crops: Mapping[int, list[str]]) -> str:
    """On what share of the rows the best guess from the number of listed crops tells `NEGATIVE` from the rest."""
    label = RELATIONS.index(NEGATIVE)
    seen = Counter((len(crops[index]), row["label"] == label) for index, row in rows.items())
    right = sum(max(seen[count, False], seen[count, True]) for count in {count for count, _ in seen})
    without = max(sum(of for (_, is_negative), of in seen.items() if is_negative is side) for side in (False, True))
    listed = sum(count * of for (count, _), of in seen.items())
    absent = listed - sum(len(row["objects"]) for row in rows.values())
    return (
        f"{100 * right / len(rows):.1f} % of the {len(rows)} {split} rows, where always giving the commoner answer is "
        f"right on {100 * without / len(rows):.1f} % ({absent} of the {listed} crops have no file and are left out)"
    )

"""Reading MNRE (Zheng et al., ICME 2021) in the layout that HVPNeT, MKGformer and TMR read."""

import ast
import difflib
import json
import logging
import math
import os
import re
import warnings
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value

from ..modeling.negative_label import NEGATIVE

logger = logging.getLogger(__name__)

T = TypeVar("T")

RELATIONS = (
    NEGATIVE,
    "/per/per/parent",
    "/per/per/siblings",
    "/per/per/couple",
    "/per/per/neighbor",
    "/per/per/peer",
    "/per/per/charges",
    "/per/per/alumi",
    "/per/per/alternate_names",
    "/per/org/member_of",
    "/per/loc/place_of_residence",
    "/per/loc/place_of_birth",
    "/org/org/alternate_names",
    "/org/org/subsidiary",
    "/org/loc/locate_at",
    "/loc/loc/contain",
    "/per/misc/present_in",
    "/per/misc/awarded",
    "/per/misc/race",
    "/per/misc/religion",
    "/per/misc/nationality",
    "/misc/misc/part_of",
    "/misc/loc/held_on",
)

FEATURES = Features(
    {
        "id": Value("string"),
        "words": List(Value("string")),
        "head": List(Value("int32"), length=2),
        "tail": List(Value("int32"), length=2),
        "image": Image(),
        "image_id": Value("string"),
        "objects": List(Image()),
        "caption": Value("string"),
        "relevance": Value("float32"),
        "label": ClassLabel(names=list(RELATIONS)),
    }
)

# What the files call each split: the text and the images, and the lists of published crops.
SPLITS = {"train": ("train", "train"), "validation": ("val", "dev"), "test": ("test", "test")}


class CorpusError(ValueError):
    r"""
    Something wrong in a corpus.

    Args:
        file: The file or folder.
        line: The line, counted from 1, or `None` if the file is wrong as a whole.
        reason: What was expected and what was found.
    """

    def __init__(self, file: str | Path, line: int | None, reason: str):
        super().__init__(str(file), line, reason)
        self.file, self.line, self.reason = str(file), line, reason

    def __str__(self) -> str:
        return f"{self.file}{'' if self.line is None else f', line {self.line}'}: {self.reason}"


Report = Callable[[CorpusError], None]


def load_mnre(
    folder: str | Path,
    *,
    objects: str = "none",
    splits: Iterable[str] | None = None,
    strict: bool = True,
    errors: list[CorpusError] | None = None,
) -> DatasetDict:
    r"""
    Loads MNRE, or a corpus with its files and relations, into the columns that `TGDICollator` and `fine_tune` take.

    | column | |
    |---|---|
    | `id` | `"train-0"`, ...: the split and the row's place in its file |
    | `words` | the words of the post |
    | `head`, `tail` | `[start, end)` in `words`; the two may overlap |
    | `image` | opened when a row is read; `None` where the file is absent, as for many posts it is |
    | `image_id` | the file name of the image |
    | `objects` | empty, or the published crops |
    | `caption` | from `caption/`; `None` where there is none |
    | `relevance` | from `relevance/`, see below; `None` where there is none |
    | `label` | `ClassLabel` of `RELATIONS` |

    **Published crops leak the label**: the phrases that they were cut out with were made from it, so that their number
    alone all but tells whether there is a relation. They are loaded on request only, with a `UserWarning` that has the
    figures of the rows at hand. They belong to rows by number; where `txt/phrase_text_*.json` is there, it is used to
    check that they fit the rows.

    **Relevance**, the published correlation of image and text from 0 to 1, cannot be paired with single rows. The file
    has every image as often as it has rows, in a shuffled order. The rows of an image always have the same text, yet
    their values never all agree (in train their standard deviation is 1.1 on the logit scale, that of images 3.0),
    and the order in which they come has no measurable connection with entities or label. So all rows of an image get
    the mean of its values. (Published code keeps the last value of each image.)

    Args:
        folder: Has `txt/ours_train.txt`, `txt/ours_val.txt` or `txt/ours_test.txt` and, if there are any,
            `img_org/{train,val,test}/`, `caption/blip2_{train,val,test}.txt`,
            `{relevance,txt}/{train,val,test}_weight_strong.txt`, `ours_rel2id.json`, and for published crops
            `txt/mre_{train,dev,test}_dict.pth` and `img_vg/{train,val,test}/crops/`.
        objects: `"none"` or `"published"`. A published crop whose file is absent is left out and counted in the
            warning.
        splits: The splits to load, of `train`, `validation` and `test`; those that are there by default. Files of other
            splits are not opened.
        strict: Whether to raise at the first wrong line. Otherwise wrong lines are left out, counted in a logged
            warning, and put into `errors`. A file that is wrong as a whole (relations, crops, an empty file) always
            raises, since without it rows would be labelled or illustrated wrongly.
        errors: A list that receives the `CorpusError` of each line left out.

    Returns:
        `DatasetDict` of the splits. It holds the paths of the images, not the images, and is kept in memory.

    Raises:
        CorpusError: A `ValueError` that names the file and the line, what was expected and what was found.
        ValueError: An unknown split, or another value of `objects`.

    Example:

    ```python
    >>> load_mnre("path/to/mnre")["train"][0]["words"][:4]
    ['The', 'latest', 'Arkham', 'Horror']
    ```
    """
    if objects not in ("none", "published"):
        raise ValueError(f"`objects` is {objects!r}; expected 'none' or 'published'.")
    folder = Path(folder).expanduser().absolute()
    chosen = _splits_to_load(folder, splits)
    _check_relations(folder / "ours_rel2id.json")

    faults = [] if errors is None else errors
    before = len(faults)

    def report(error: CorpusError) -> None:
        if strict:
            raise error from None
        faults.append(error)

    corpus, leaks = DatasetDict(), []
    for split in chosen:
        rows, crops = _load_split(folder, split, objects == "published", report)
        corpus[split] = Dataset.from_dict(
            {column: [row[column] for row in rows.values()] for column in FEATURES}, features=FEATURES, split=split
        )
        if objects == "published":
            leaks.append(_leak(split, rows, crops))
    if leaks:
        warnings.warn(
            "The published object crops leak the label: they were cut out with phrases made from it, and their number "
            f"alone tells {NEGATIVE!r} from all other relations on {'; '.join(leaks)}. Scores with them are not "
            "comparable with scores without them, and promise nothing for posts that nobody has labelled yet.",
            UserWarning,
            stacklevel=2,
        )
    if len(faults) > before:
        logger.warning(
            "%d wrong lines of %s were left out; the first: %s", len(faults) - before, folder, faults[before]
        )
    return corpus


def _text_file(folder: Path, split: str) -> Path:
    return folder / "txt" / f"ours_{SPLITS[split][0]}.txt"


def _splits_to_load(folder: Path, splits: Iterable[str] | None) -> list[str]:
    """The splits asked for, or those that `folder` has, in the order of `SPLITS`."""
    asked = [splits] if isinstance(splits, str) else list(SPLITS if splits is None else splits)
    unknown = [split for split in asked if split not in SPLITS]
    if unknown or not asked:
        raise ValueError(f"`splits` has {unknown or 'no split'}; expected some of {list(SPLITS)}.")
    if not folder.is_dir():
        raise CorpusError(folder, None, "no MNRE corpus: there is no such folder.")
    present = [split for split in SPLITS if split in asked and _text_file(folder, split).is_file()]
    absent = [_text_file(folder, split) for split in asked if split not in present]
    if present and (splits is None or not absent):
        return present
    names = ", ".join(f"txt/{file.name}" for file in absent)
    around = ((folder.parent, "txt"), (folder, "*/txt"), (folder, "*/*/txt"))
    found = [file for place, inside in around for file in place.glob(f"{inside}/ours_*.txt")]
    likely = sorted({str(file.parent.parent) for file in found if file.parent.parent != folder})
    hint = f" Did you mean {' or '.join(likely)}?" if likely and not present else ""
    raise CorpusError(folder, None, f"no MNRE corpus with all that is asked for: {names} not found.{hint}")


def _check_relations(file: Path) -> None:
    """Refuses an `ours_rel2id.json` that gives other ids than `RELATIONS`, which would mislabel every row."""
    if not file.is_file():
        return
    try:
        ids = json.loads(file.read_bytes())
    except ValueError as error:
        raise CorpusError(file, None, f"expected a JSON object from relations to ids ({error}).") from None
    if not isinstance(ids, dict):
        raise CorpusError(file, None, f"expected a JSON object from relations to ids, found {_brief(ids)}.")
    expected = {name: i for i, name in enumerate(RELATIONS)}
    wrong = [f"{name!r} is unknown{_nearest(name)}" for name in ids if name not in expected]
    wrong += [
        f"{name!r} is {ids[name]!r}, not {i}" if name in ids else f"{name!r} is missing"
        for name, i in expected.items()
        if ids.get(name) != i
    ]
    if wrong:
        raise CorpusError(file, None, f"expected the {len(RELATIONS)} relations of MNRE with their ids; {wrong[0]}.")


def _load_split(
    folder: Path, split: str, published: bool, report: Report
) -> tuple[dict[int, dict[str, Any]], dict[int, list[str]]]:
    """The rows of a split by their place in its file, and the crops listed for each."""
    short, short_of_crops = SPLITS[split]
    file = _text_file(folder, split)
    total = len(_lines(file))
    records = _read(file, _parse_post, report)
    if not records:
        raise CorpusError(file, None, f"has {total} rows, none of them usable; expected one dict a line.")

    crops, crop_files = {}, {}
    if published:
        crops = _read_crops(folder / "txt" / f"mre_{short_of_crops}_dict.pth", total)
        _check_order(file, folder / "txt" / f"phrase_text_{short}.json", records)
        crop_files = _files(folder / "img_vg" / short / "crops")
    images = _files(folder / "img_org" / short)
    captions = _read_captions(folder / "caption" / f"blip2_{short}.txt", report)
    relevance = _read_relevance(folder, f"{short}_weight_strong.txt", report)

    rows = {
        index: {
            "id": f"{split}-{index}",
            "words": record["token"],
            "head": record["h"]["pos"],
            "tail": record["t"]["pos"],
            "image": images.get(record["img_id"]),
            "image_id": record["img_id"],
            "objects": [crop_files[name] for name in crops.get(index, ()) if name in crop_files],
            "caption": captions.get(record["img_id"]),
            "relevance": relevance.get(record["img_id"]),
            "label": RELATIONS.index(record["relation"]),
        }
        for index, record in records.items()
    }
    _log_absent_images(folder / "img_org" / short, rows)
    _log_other_names(file, records)
    return rows, crops


def _log_absent_images(folder: Path, rows: Mapping[int, Mapping[str, Any]]) -> None:
    absent = sum(row["image"] is None for row in rows.values())
    if absent:
        # A corpus without a single image is more likely a folder in the wrong place than lost posts.
        level = logging.WARNING if absent == len(rows) else logging.INFO
        logger.log(level, "%d of %d rows have no image file in %s; their `image` is None.", absent, len(rows), folder)


def _log_other_names(file: Path, records: Mapping[int, Mapping[str, Any]]) -> None:
    other = [
        f"line {index + 1}: {entity['name']!r} and {named!r}"
        for index, record in records.items()
        for entity in (record["h"], record["t"])
        if "name" in entity and entity["name"] != (named := " ".join(record["token"][slice(*entity["pos"])]))
    ]
    if other:
        logger.warning(
            "%s: %d entities are named otherwise than by the words of their `pos`, which is what counts. The first, %s",
            file,
            len(other),
            other[0],
        )


def _lines(file: Path) -> list[bytes]:
    """The lines of a file without blank ones at its end. Only a newline ends a line: tweets have other separators."""
    lines = file.read_bytes().split(b"\n")
    while lines and not lines[-1].strip():
        lines.pop()
    return lines


def _read(file: Path, parse: Callable[[str], T], report: Report) -> dict[int, T]:
    """Parses the lines of a file. Those at which `parse` raises `ValueError` are reported and left out."""
    parsed = {}
    for index, line in enumerate(_lines(file)):
        try:
            parsed[index] = parse(line.decode("utf-8-sig").strip())
        except ValueError as error:
            report(CorpusError(file, index + 1, str(error)))
    return parsed


def _parse_dict(line: str, keys: tuple[str, ...]) -> dict[str, Any]:
    # JSON first: a JSON string with escaped surrogates is a Python literal as well, but another string.
    for parse in (json.loads, ast.literal_eval):
        try:
            record = parse(line)
            break
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            continue
    else:
        raise ValueError(f"expected a dict as Python or JSON writes it, found {_brief(line)}.")
    if not isinstance(record, dict):
        raise ValueError(f"expected a dict, found {_brief(record)}.")
    missing = [key for key in keys if key not in record]
    if missing:
        raise ValueError(f"expected a dict with {', '.join(keys)}; {', '.join(missing)} missing.")
    return record


def _parse_post(line: str) -> dict[str, Any]:
    record = _parse_dict(line, ("token", "h", "t", "img_id", "relation"))
    words, relation = record["token"], record["relation"]
    if not isinstance(words, list) or not words or not all(map(_is_text, words)):
        raise ValueError(f"`token` is {_brief(words)}; expected a list of strings with one word at least.")
    if not _is_text(record["img_id"]):
        raise ValueError(f"`img_id` is {_brief(record['img_id'])}; expected the file name of an image.")
    for key in ("h", "t"):
        _check_span(key, record[key], len(words))
    if relation not in RELATIONS:
        raise ValueError(f"unknown relation {_brief(relation)}{_nearest(relation)}; expected one of MNRE's 23.")
    return record


def _check_span(key: str, entity: Any, length: int) -> None:
    span = entity.get("pos") if isinstance(entity, dict) else None
    # `type`, not `isinstance`: True is an int.
    if not isinstance(span, list | tuple) or len(span) != 2 or any(type(end) is not int for end in span):
        raise ValueError(f"`{key}` is {_brief(entity)}; expected a dict whose `pos` is [start, end) in words.")
    start, end = span
    if start >= end:
        raise ValueError(f"`pos` of `{key}` is {list(span)}, which is {'empty' if start == end else 'reversed'}.")
    if start < 0 or end > length:
        raise ValueError(f"`pos` of `{key}` is {list(span)}, outside the {length} words of `token`.")


def _parse_caption(line: str) -> tuple[str, str]:
    record = _parse_dict(line, ("img_id", "text"))
    if not (_is_text(record["img_id"]) and _is_text(record["text"])):
        raise ValueError(f"expected strings as `img_id` and `text`, found {_brief(record)}.")
    return record["img_id"], record["text"]


def _parse_relevance(line: str) -> tuple[str, float]:
    image, _, value = line.partition("\t")
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not image or not 0 <= number <= 1:
        raise ValueError(f"expected the file name of an image, a tab, and a number from 0 to 1; found {_brief(line)}.")
    return image, number


def _read_captions(file: Path, report: Report) -> dict[str, str]:
    captions: dict[str, str] = {}
    for index, (image, text) in (_read(file, _parse_caption, report) if file.is_file() else {}).items():
        if captions.setdefault(image, text) != text:
            reason = f"a second caption of {image}, {_brief(text)}; the first was {_brief(captions[image])}."
            report(CorpusError(file, index + 1, reason))
    return {image: text for image, text in captions.items() if text.strip()}


def _read_relevance(folder: Path, name: str, report: Report) -> dict[str, float]:
    values = defaultdict(list)
    for file in (folder / "relevance" / name, folder / "txt" / name):
        if file.is_file():
            for image, value in _read(file, _parse_relevance, report).values():
                values[image].append(value)
            break
    return {image: math.fsum(of) / len(of) for image, of in values.items()}


def _read_crops(file: Path, rows: int) -> dict[int, list[str]]:
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
        raise CorpusError(file, None, f"{expected}, found {_brief(crops)}.")
    for row, names in crops.items():
        if type(row) is not int or not isinstance(names, list) or not all(map(_is_text, names)):
            raise CorpusError(file, None, f"{expected}, found {_brief({row: names})} in it.")
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


def _check_order(file: Path, phrases_file: Path, records: Mapping[int, Mapping[str, Any]]) -> None:
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
        raise CorpusError(phrases_file, None, f"expected a JSON object from rows to phrases, found {_brief(phrases)}.")
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
    crops = _read_crops(file, len(_lines(_text_file(folder, split))))
    return {f"{split}-{index}": len(names) for index, names in crops.items()}


def _leak(split: str, rows: Mapping[int, Mapping[str, Any]], crops: Mapping[int, list[str]]) -> str:
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


def _files(folder: Path) -> dict[str, str]:
    """The files of a folder: name to path. A name from the corpus is looked up here, so it never leaves the folder."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.path for entry in entries if entry.is_file()}


def _is_text(value: Any) -> bool:
    """Whether `value` is a string that UTF-8 can encode, as one with half a surrogate pair cannot be."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _nearest(name: Any) -> str:
    near = difflib.get_close_matches(str(name), RELATIONS, n=1)
    return f", did you mean {near[0]!r}?" if near else ""


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


__all__ = ["FEATURES", "RELATIONS", "CorpusError", "listed_crops", "load_mnre"]

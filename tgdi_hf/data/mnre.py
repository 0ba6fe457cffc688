"""Loads MNRE (Zheng et al., ICME 2021) from the layout of HVPNeT, MKGformer and TMR."""

import logging
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from ..modeling.negative_label import NEGATIVE
from .mnre_crops import check_order, describe_leak, read_crops
from .mnre_files import (
    CorpusError,
    Report,
    check_relations,
    lines_of,
    parse_lines,
    parse_post,
    read_captions,
    read_relevance,
)
from .mnre_schema import FEATURES, RELATIONS, SPLITS, text_file

logger = logging.getLogger(__name__)


def load_mnre(
    folder: str | Path,
    *,
    objects: str = "none",
    splits: Iterable[str] | None = None,
    strict: bool = True,
    errors: list[CorpusError] | None = None,
) -> DatasetDict:
    r"""
    Loads MNRE, or a corpus with its layout and relations, with the columns that `TGDICollator` and `fine_tune` use.

    | column | content |
    |---|---|
    | `id` | `"train-0"`, ...: the split, and the line of the post in its file, counted from 0 |
    | `words` | the words of the post |
    | `head`, `tail` | `[start, end)` in `words`; the two may overlap |
    | `image` | opened when a row is read; `None` if the file is missing, as it is for many posts |
    | `image_id` | the file name of the image |
    | `objects` | empty, or the published crops |
    | `caption` | from `caption/`; `None` if it has none |
    | `relevance` | from `relevance/`, see below; `None` if it has none |
    | `label` | `ClassLabel` of `RELATIONS` |

    **Published crops leak the label**: the phrases that the crops were detected with were derived from it, so that the
    number of crops alone almost determines whether a post has a relation. They are loaded on request only, with a
    `UserWarning` that quantifies the leak for the loaded rows. Crops are assigned to rows by number;
    `txt/phrase_text_*.json`, if present, is used to check that they fit the rows.

    **Relevance**, the published correlation of image and text from 0 to 1, cannot be assigned to single rows. The file
    lists every image once per row of that image, in shuffled order. All rows of an image have the same text, yet their
    values never all agree (on the logit scale, their standard deviation in train is 1.1; that between images is 3.0),
    and their order has no measurable connection with entities or label. Therefore all rows of an image get the mean of
    its values. (Published code keeps the last value of each image.)

    Args:
        folder: Contains `txt/ours_train.txt`, `txt/ours_val.txt` or `txt/ours_test.txt` and optionally
            `img_org/{train,val,test}/`, `caption/blip2_{train,val,test}.txt`,
            `{relevance,txt}/{train,val,test}_weight_strong.txt`, `ours_rel2id.json`, and for published crops
            `txt/mre_{train,dev,test}_dict.pth` and `img_vg/{train,val,test}/crops/`.
        objects: `"none"` or `"published"`. A published crop whose file is missing is skipped and counted in the
            warning.
        splits: The splits to load, of `train`, `validation` and `test`; defaults to all that are present. Files of
            other splits are not opened.
        strict: Raise at the first invalid line. Otherwise invalid lines are skipped, counted in a logged warning, and
            appended to `errors`. A file that is invalid as a whole (relations, crops, an empty file) always raises,
            since rows would get wrong labels or crops.
        errors: A list that receives the `CorpusError` of each skipped line.

    Returns:
        `DatasetDict` of the splits, kept in memory, with the paths of the images instead of the images.

    Raises:
        CorpusError: A `ValueError` with the file, the line, what was expected and what was found.
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
    requested = _splits_to_load(folder, splits)
    check_relations(folder / "ours_rel2id.json")

    skipped = [] if errors is None else errors
    before = len(skipped)

    def report(error: CorpusError) -> None:
        if strict:
            raise error from None
        skipped.append(error)

    corpus, leaks = DatasetDict(), []
    for split in requested:
        rows, crops = _load_split(folder, split, objects == "published", report)
        corpus[split] = Dataset.from_dict(
            {column: [row[column] for row in rows.values()] for column in FEATURES}, features=FEATURES, split=split
        )
        if objects == "published":
            leaks.append(describe_leak(split, rows, crops))
    if leaks:
        warnings.warn(
            "The published object crops leak the label: the phrases that they were detected with were derived from it, "
            f"and their number alone tells {NEGATIVE!r} from all other relations on {'; '.join(leaks)}. Scores with "
            "these crops are not comparable with scores without them, and do not carry over to unlabelled posts.",
            UserWarning,
            stacklevel=2,
        )
    if len(skipped) > before:
        logger.warning("Skipped %d invalid lines of %s; the first: %s", len(skipped) - before, folder, skipped[before])
    return corpus


def _splits_to_load(folder: Path, splits: Iterable[str] | None) -> list[str]:
    """The requested splits, or those in `folder` by default, in the order of `SPLITS`."""
    requested = [splits] if isinstance(splits, str) else list(SPLITS if splits is None else splits)
    unknown = [split for split in requested if split not in SPLITS]
    if unknown or not requested:
        raise ValueError(f"`splits` is {requested}; expected some of {list(SPLITS)}.")
    if not folder.is_dir():
        raise CorpusError(folder, None, "no such folder; expected an MNRE corpus.")
    present = [split for split in SPLITS if split in requested and text_file(folder, split).is_file()]
    absent = [text_file(folder, split) for split in requested if split not in present]
    if present and (splits is None or not absent):
        return present
    names = ", ".join(f"txt/{file.name}" for file in absent)
    around = ((folder.parent, "txt"), (folder, "*/txt"), (folder, "*/*/txt"))
    found = [file for place, inside in around for file in place.glob(f"{inside}/ours_*.txt")]
    likely = sorted({str(file.parent.parent) for file in found if file.parent.parent != folder})
    hint = f" Did you mean {' or '.join(likely)}?" if likely and not present else ""
    raise CorpusError(folder, None, f"not an MNRE corpus with the requested splits: {names} not found.{hint}")


def _load_split(
    folder: Path, split: str, published: bool, report: Report
) -> tuple[dict[int, dict[str, Any]], dict[int, list[str]]]:
    """The rows of a split and the names of their published crops, by line in the file of the split."""
    short, short_of_crops = SPLITS[split]
    file = text_file(folder, split)
    total = len(lines_of(file))
    records = parse_lines(file, parse_post, report)
    if not records:
        raise CorpusError(file, None, f"has {total} lines, none of them valid; expected one dict per line.")

    crops, crop_files = {}, {}
    if published:
        crops = read_crops(folder / "txt" / f"mre_{short_of_crops}_dict.pth", total)
        check_order(file, folder / "txt" / f"phrase_text_{short}.json", records)
        crop_files = _files(folder / "img_vg" / short / "crops")
    images = _files(folder / "img_org" / short)
    captions = read_captions(folder / "caption" / f"blip2_{short}.txt", report)
    relevance = read_relevance(folder, f"{short}_weight_strong.txt", report)

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
    _log_missing_images(folder / "img_org" / short, rows)
    _log_differing_names(file, records)
    return rows, crops


def _log_missing_images(folder: Path, rows: Mapping[int, Mapping[str, Any]]) -> None:
    missing = sum(row["image"] is None for row in rows.values())
    if missing:
        # If all images are missing, the folder is probably in the wrong place.
        level = logging.WARNING if missing == len(rows) else logging.INFO
        logger.log(level, "%d of %d rows have no image file in %s; their `image` is None.", missing, len(rows), folder)


def _log_differing_names(file: Path, records: Mapping[int, Mapping[str, Any]]) -> None:
    differing = [
        f"line {index + 1}: {entity['name']!r} and {words!r}"
        for index, record in records.items()
        for entity in (record["h"], record["t"])
        if "name" in entity and entity["name"] != (words := " ".join(record["token"][slice(*entity["pos"])]))
    ]
    if differing:
        logger.warning(
            "%s: the names of %d entities differ from the words at their `pos`, which are used. The first, %s",
            file,
            len(differing),
            differing[0],
        )


def _files(folder: Path) -> dict[str, str]:
    """The paths of the files in a folder by name. Looking up names of the corpus here keeps them inside the folder."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.path for entry in entries if entry.is_file()}

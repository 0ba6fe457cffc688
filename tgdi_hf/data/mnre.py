"""Reading MNRE (Zheng et al., ICME 2021) in the layout that HVPNeT, MKGformer and TMR read."""

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
    check_relations(folder / "ours_rel2id.json")

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
            leaks.append(describe_leak(split, rows, crops))
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


def _splits_to_load(folder: Path, splits: Iterable[str] | None) -> list[str]:
    """The splits asked for, or those that `folder` has, in the order of `SPLITS`."""
    asked = [splits] if isinstance(splits, str) else list(SPLITS if splits is None else splits)
    unknown = [split for split in asked if split not in SPLITS]
    if unknown or not asked:
        raise ValueError(f"`splits` has {unknown or 'no split'}; expected some of {list(SPLITS)}.")
    if not folder.is_dir():
        raise CorpusError(folder, None, "no MNRE corpus: there is no such folder.")
    present = [split for split in SPLITS if split in asked and text_file(folder, split).is_file()]
    absent = [text_file(folder, split) for split in asked if split not in present]
    if present and (splits is None or not absent):
        return present
    names = ", ".join(f"txt/{file.name}" for file in absent)
    around = ((folder.parent, "txt"), (folder, "*/txt"), (folder, "*/*/txt"))
    found = [file for place, inside in around for file in place.glob(f"{inside}/ours_*.txt")]
    likely = sorted({str(file.parent.parent) for file in found if file.parent.parent != folder})
    hint = f" Did you mean {' or '.join(likely)}?" if likely and not present else ""
    raise CorpusError(folder, None, f"no MNRE corpus with all that is asked for: {names} not found.{hint}")


def _load_split(
    folder: Path, split: str, published: bool, report: Report
) -> tuple[dict[int, dict[str, Any]], dict[int, list[str]]]:
    """The rows of a split by their place in its file, and the crops listed for each."""
    short, short_of_crops = SPLITS[split]
    file = text_file(folder, split)
    total = len(lines_of(file))
    records = parse_lines(file, parse_post, report)
    if not records:
        raise CorpusError(file, None, f"has {total} rows, none of them usable; expected one dict a line.")

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


def _files(folder: Path) -> dict[str, str]:
    """The files of a folder: name to path. A name from the corpus is looked up here, so it never leaves the folder."""
    if not folder.is_dir():
        return {}
    with os.scandir(folder) as entries:
        return {entry.name: entry.path for entry in entries if entry.is_file()}

"""Loads MNRE (Zheng et al., ICME 2021), in both versions, and corpora in its format."""

import logging
import os
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset, DatasetDict

from ..modeling.negative_label import NEGATIVE
from .labels import in_label_order
from .mnre_crops import check_order, describe_leak, read_crops
from .mnre_files import (
    CorpusError,
    Report,
    lines_of,
    parse_lines,
    parse_post,
    read_captions,
    read_relations,
    read_relevance,
)
from .mnre_layout import (
    LAYOUTS,
    Layout,
    crops_file,
    find_layout,
    image_folder,
    likely_corpora,
    present_splits,
    relations_file,
    text_file,
)
from .mnre_schema import RELATIONS, SPLITS, features_of

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
    Loads MNRE-2, MNRE-1, or a corpus in their format, with the columns that `TGDICollator` and `fine_tune` use.

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
    | `label` | `ClassLabel` of the relations, see below |

    **Layouts**, of which a folder has one:

    | corpus | text | relations |
    |---|---|---|
    | MNRE-2 as HVPNeT, MKGformer and TMR distribute it | `txt/ours_{train,val,test}.txt` | `RELATIONS` |
    | MNRE-2 as in its repository (`thecharm/MNRE`) | `mnre_txt/mnre_{train,val,test}.txt` | `RELATIONS` |
    | MNRE-1 as in its repository (`Version-1/`) | `mnre_txt/mnre_org_{train,val,test}.txt` | of the training rows |
    | your own | `txt/{train,val,test}.txt` | of the training rows |

    A JSON file in the folder whose name ends in `rel2id.json` takes precedence: it maps the relations to their ids.
    Relations of the training rows are sorted, after `None` or, in MNRE-1's spelling, `none`, which stands for no
    relation.

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
        folder: Contains the text of one split or more, and optionally images in `img_org/`, `mnre_image/img_org/` or
            `mnre_image/` (in folders `train`, `val` and `test`, or all in one), `caption/blip2_{train,val,test}.txt`,
            `{relevance,txt}/{train,val,test}_weight_strong.txt`, and for published crops
            `txt/mre_{train,dev,test}_dict.pth` and `img_vg/{train,val,test}/crops/`.
        objects: `"none"` or `"published"`, for MNRE-2. A published crop whose file is missing is skipped and counted in
            the warning.
        splits: The splits to load, of `train`, `validation` and `test`; defaults to all that are present. Files of
            other splits are not opened, save that of `train` where the relations are those of the training rows.
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
    layout, requested = _splits_to_load(folder, splits)
    relations = _relations_of(folder, layout)
    if objects == "published" and set(relations.names) != set(RELATIONS):
        raise CorpusError(
            folder, None, "`objects='published'` is for MNRE-2, the corpus with published crops; use `objects='none'`."
        )
    features = features_of(relations.names)

    skipped = [] if errors is None else errors
    before = len(skipped)

    def report(error: CorpusError) -> None:
        if strict:
            raise error from None
        skipped.append(error)

    corpus, leaks = DatasetDict(), []
    for split in requested:
        rows, crops = _load_split(folder, layout, split, relations, objects == "published", report)
        corpus[split] = Dataset.from_dict(
            {column: [row[column] for row in rows.values()] for column in features}, features=features, split=split
        )
        if objects == "published":
            leaks.append(describe_leak(split, rows, crops, relations.names))
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


def _splits_to_load(folder: Path, splits: Iterable[str] | None) -> tuple[Layout, list[str]]:
    """The layout of the corpus, and the splits to load in the order of `SPLITS`, by default all that are present."""
    requested = [splits] if isinstance(splits, str) else list(SPLITS if splits is None else splits)
    unknown = [split for split in requested if split not in SPLITS]
    if unknown or not requested:
        raise ValueError(f"`splits` is {requested}; expected some of {list(SPLITS)}.")
    if not folder.is_dir():
        raise CorpusError(folder, None, "no such folder; expected an MNRE corpus.")
    layout = find_layout(folder)
    if layout is None:
        likely = " or ".join(str(place) for place in likely_corpora(folder))
        hint = f" Did you mean {likely}?" if likely else ""
        expected = [", ".join(each.pattern.format(names[0]) for names in SPLITS.values()) for each in LAYOUTS]
        raise CorpusError(folder, None, f"not an MNRE corpus: {'; nor '.join(expected)} not found.{hint}")
    present = [split for split in present_splits(folder, layout) if split in requested]
    absent = [text_file(folder, layout, split) for split in requested if split not in present]
    if absent and (splits is not None or not present):
        names = ", ".join(str(file.relative_to(folder)) for file in absent)
        raise CorpusError(folder, None, f"lacks requested splits: {names} not found.")
    return layout, present


class _Relations(NamedTuple):
    names: tuple[str, ...]
    listed_in: str


def _relations_of(folder: Path, layout: Layout) -> _Relations:
    """The relations of a corpus in the order of their ids."""
    file = relations_file(folder, layout)
    if file is not None:
        return _Relations(read_relations(file), str(file))
    if layout.relations is not None:
        return _Relations(layout.relations, "MNRE-2 (a corpus with others lists them with their ids in rel2id.json)")
    train = text_file(folder, layout, "train")
    if not train.is_file():
        raise CorpusError(
            folder,
            None,
            f"lists its relations neither in rel2id.json nor in training rows ({train} is missing). Expected one of "
            "them.",
        )
    rows = parse_lines(train, parse_post, report=lambda error: None)  # reported when the split is loaded
    names = in_label_order({row["relation"] for row in rows.values()})
    logger.info(
        "%s: the %d relations are those of the training rows, since no rel2id.json lists them.", folder, len(names)
    )
    return _Relations(tuple(names), f"the rows in {train} (or list all relations with their ids in rel2id.json)")


def _load_split(
    folder: Path, layout: Layout, split: str, relations: _Relations, published: bool, report: Report
) -> tuple[dict[int, dict[str, Any]], dict[int, list[str]]]:
    """The rows of a split and the names of their published crops, by line in the file of the split."""
    short = SPLITS[split][0]
    file = text_file(folder, layout, split)
    total = len(lines_of(file))
    ids = {name: i for i, name in enumerate(relations.names)}
    records = parse_lines(file, lambda line: parse_post(line, ids, relations.listed_in), report)
    if not records:
        raise CorpusError(file, None, f"has {total} lines, none of them valid; expected one dict per line.")

    crops, crop_files = {}, {}
    if published:
        crops = read_crops(crops_file(folder, layout, split), total)
        check_order(file, folder / layout.text_folder / f"phrase_text_{short}.json", records)
        crop_files = _files(folder / "img_vg" / short / "crops")
    image_place = image_folder(folder, split)
    images = _files(image_place)
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
            "label": ids[record["relation"]],
        }
        for index, record in records.items()
    }
    _log_missing_images(image_place, rows)
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

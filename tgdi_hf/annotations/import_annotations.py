"""From an export of an annotation tool to a folder of posts to train on."""

import hashlib
import json
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset, DatasetDict, Features, List, Value

from ..data.progress_bars import without_progress_bars
from ..data.row_writer import RowWriter
from ..file_locks import sole_writer
from ..modeling.negative_label import NEGATIVE
from ..processing.entity_order import symmetric_relations
from .annotators import MAJORITY, Agreement, choose_annotators
from .document import Document, Report
from .formats import Format, Unit, reader_of
from .image_folder import ImageFolder
from .pairs import Negatives, RowMaker
from .reader_options import ReaderOptions
from .splitting import SPLITS, check_shares, split_groups

DATASET, REPORT, SETTINGS, IMAGES = "dataset", "report.jsonl", "import.json", "images"
COLUMNS = ("id", "post_id", "text", "head", "tail", "head_type", "tail_type", "image", "label")
_SUFFIXES = {b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp", b"BM": ".bmp"}


class Import(NamedTuple):
    r"""
    The result of an import.

    Args:
        folder: The output folder.
        posts: Number of posts in each split.
        rows: Number of rows in each split.
        labels: Number of rows with each label; `None` stands for no relation.
        problems: Number of problems in the report, by part.
        agreement: Agreement of the annotators.
        symmetric: The relations that were taken as symmetric.
    """

    folder: Path
    posts: dict[str, int]
    rows: dict[str, int]
    labels: dict[str, int]
    problems: dict[str, int]
    agreement: Agreement
    symmetric: tuple[str, ...] = ()

    def summary(self) -> str:
        """What was imported, and what was not, for a terminal."""
        lines = [f"{split:<10} {self.posts[split]:,} posts, {self.rows[split]:,} rows" for split in self.rows]
        lines.append("labels     " + ", ".join(f"{name} {count:,}" for name, count in self.labels.items()))
        lines.append(f"symmetric  {', '.join(self.symmetric) or 'no relation'}")
        if self.agreement.posts:
            lines.append(
                f"annotators {self.agreement.posts:,} posts by several; unanimous on {self.agreement.unanimous:,} of "
                f"{self.agreement.relations:,} relations"
            )
        if self.problems:
            counts = ", ".join(f"{part} {count:,}" for part, count in self.problems.items())
            lines.append(f"report     {sum(self.problems.values()):,} entries ({counts}); see {self.folder / REPORT}")
        return "\n".join(lines)


def import_annotations(
    path: str | Path,
    output: str | Path,
    format: str,
    *,
    annotators: str | Sequence[str] = MAJORITY,
    symmetric: Sequence[str] | None = None,
    negatives: str = "all",
    negative: str = NEGATIVE,
    multi_label: bool = False,
    split: Sequence[float] = (0.8, 0.1, 0.1),
    seed: int = 0,
    images: str | Path | None = None,
    offsets: str | None = None,
    text_key: str | None = None,
    image_key: str | None = None,
    attribute: str = "rel",
    predictions: bool = False,
) -> Import:
    r"""
    Converts an export of relation annotations to a folder of posts that `load_data` and `tgdi train` read.

    What cannot be used is listed in `report.jsonl`, one problem per line, with file, place, id and reason. The other
    annotations are used: a post with one invalid entity keeps its other entities.

    Args:
        path: The export: a file, or a folder of files.
        output: A new folder. It gets `train.jsonl`, `validation.jsonl` and `test.jsonl` with one row per entity pair;
            `dataset/`, the same rows for `datasets.load_from_disk`; `report.jsonl`; and `import.json` with the
            settings. Images stay where they are, except those inside the export, which are written to `images/`.
        format: `"label-studio"`, `"brat"`, `"doccano"`, `"prodigy"`, or `"docbin"` of spaCy, which requires the extra
            `spacy`.
        annotators: How to combine several annotators of one post: `"majority"` keeps the entities and relations that
            more than half of them marked, `"first"` takes the oldest annotation; otherwise names or ids of annotators,
            in order of preference.
        symmetric: The symmetric relations: full labels, or the part after the last slash; `[]` if there are none. The
            default is those of MNRE, for labels spelled like MNRE's.
        negatives: Which unrelated pairs become rows, in both orders: `"all"`, `"none"`, or `"sample:N"` for up to N
            pairs per post.
        negative: The label of unrelated pairs. A relation of this name marks its pair as unrelated.
        multi_label: Keep all relations of a pair; the column `label` then holds lists. Otherwise a pair with several
            relations in one direction is reported and left out.
        split: The shares of train, validation and test. Posts with the same text are in the same split, and each split
            gets its share of every relation as far as possible.
        seed: Of the split and of the sample of unrelated pairs.
        images: The folder with the image files; by default that of the export. Files outside it are not read, and URLs
            are not fetched. A post whose image cannot be found becomes a post without an image.
        offsets: The unit that the offsets of the export count: `"code-points"`, `"utf-16"`, `"bytes"` or
            `"graphemes"`; by default that of the tool.
        text_key, image_key: The keys of text and image in the export, if they have other names than usual.
        attribute: The custom attribute with the relations (spaCy only).
        predictions: Import the predictions of tasks without annotations (Label Studio only).

    Returns:
        `Import`.

    Raises:
        FileExistsError: `output` is not empty, or another process is writing it.
        ValueError: An argument has an invalid value; the export can't be read; `symmetric` names a relation that does
            not occur; or no relation can be used.
    """
    path, output = Path(path), Path(output)
    if format not in tuple(Format):
        raise ValueError(f"`format` is {format!r}; expected one of {', '.join(Format)}.")
    if offsets is not None and offsets not in tuple(Unit):
        raise ValueError(f"`offsets` is {offsets!r}; expected one of {', '.join(Unit)}.")
    rule = [annotators] if isinstance(annotators, str) else list(annotators)
    if not rule or (len(rule) > 1 and {MAJORITY, "first"} & {*rule}):
        raise ValueError(f"`annotators` is {rule}; expected majority, first, or names of annotators.")
    chosen_negatives = Negatives.parse(negatives)
    check_shares(split)
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder.")
    folder = Path(images) if images is not None else path if path.is_dir() else path.parent
    if not folder.is_dir():
        raise ValueError(f"{folder}: no such folder; expected the folder with the image files.")
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise FileExistsError(f"{output} is not empty; expected a new or empty folder.")
    read = reader_of(Format(format))
    options = ReaderOptions(None if offsets is None else Unit(offsets), text_key, image_key, attribute, predictions)
    settings = {
        "path": str(path), "format": str(format), "annotators": rule, "negatives": negatives, "negative": negative,
        "symmetric": None if symmetric is None else list(symmetric), "multi_label": multi_label, "split": list(split),
        "seed": seed, "images": str(folder), "offsets": offsets, "text_key": text_key, "image_key": image_key,
        "attribute": attribute, "predictions": predictions,
    }  # fmt: skip
    report = Report()
    with sole_writer(output):
        is_symmetric = partial(_is_symmetric, symmetric)
        documents, agreement = choose_annotators(read(path, options, report), rule, is_symmetric, report)
        kinds = {relation.type for document in documents for relation in document.relations}
        _check_relations(kinds, symmetric, negative, report, output)
        maker = RowMaker(is_symmetric, chosen_negatives, negative, multi_label, seed, report)
        rows = {document.id: maker.rows(document) for document in documents}
        for document in documents:
            if not rows[document.id]:
                reason = (
                    f"no entity pair to list: {len(document.entities)} entities, {len(document.relations)} relations."
                )
                report.add(document.file, document.where, document.id, "document", reason)
        documents = [document for document in documents if rows[document.id]]
        if not any(row["label"] not in ([], negative) for document in documents for row in rows[document.id]):
            raise _nothing_usable(report, output)
        part = output.with_name(output.name + ".part")
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(parents=True)
        find_image = partial(_find_image, ImageFolder(folder), report, part, output)
        splits = _split(documents, rows, partial(_labels_of, negative), split, seed)
        placed = {document.id: find_image(document) for document in documents}
        for split_rows in splits.values():
            for document, row in split_rows:
                row["image"] = placed[document.id]
        done = _write(part, output, splits, report, settings, agreement, negative, multi_label)
        done = done._replace(symmetric=tuple(sorted(filter(is_symmetric, kinds - {negative}))))
        if output.exists():
            output.rmdir()
        part.replace(output)
    return done


def _is_symmetric(chosen: Sequence[str] | None, kind: str) -> bool:
    return symmetric_relations([kind], chosen)[0]


def _check_relations(
    kinds: set[str], symmetric: Sequence[str] | None, negative: str, report: Report, output: Path
) -> None:
    if not kinds - {negative}:
        raise _nothing_usable(report, output)
    known = {part for kind in kinds for part in (kind, kind.rpartition("/")[2])}
    if unknown := [name for name in symmetric or () if name not in known]:
        raise ValueError(
            f"`symmetric` contains {unknown[0]!r}, which is not a relation of the export; its relations are "
            f"{', '.join(sorted(kinds))}."
        )


def _nothing_usable(report: Report, output: Path) -> ValueError:
    """The error of an export without a usable relation; its report is written beside the output."""
    file = output.with_name(output.name + "." + REPORT)
    reasons = "; ".join(f"{problem.where}: {problem.reason}" for problem in report.problems[:3])
    if report.problems:
        report.write(file)
    reasons = f" The first problems are: {reasons} All {len(report.problems):,} are in {file}." if reasons else ""
    return ValueError(f"No relation of the export can be used.{reasons}")


def _labels_of(negative: str, label: str | list[str]) -> list[str]:
    """The labels of a row; that of no relation if there are none."""
    return [label] if isinstance(label, str) else label or [negative]


def _split(
    documents: Sequence[Document],
    rows: Mapping[str, list[dict[str, Any]]],
    labels_of: Callable[[str | list[str]], list[str]],
    shares: Sequence[float],
    seed: int,
) -> dict[str, list[tuple[Document, dict[str, Any]]]]:
    """The rows of each split, in the order of the export. Posts with the same text are in the same split."""
    labels: dict[str, list[str]] = {}
    for document in documents:
        found = [label for row in rows[document.id] for label in labels_of(row["label"])]
        labels.setdefault(document.text, []).extend(found)
    split_of = split_groups(labels, shares, seed)
    return {
        split: [
            (document, row) for document in documents for row in rows[document.id] if split_of[document.text] == split
        ]
        for split in SPLITS
        if split in split_of.values()
    }


def _find_image(folder: ImageFolder, report: Report, part: Path, output: Path, document: Document) -> Path | None:
    """The image file of a document; one from a data URI is written to the output."""
    if document.image is None:
        return None
    with report.collecting(document.file, document.where, document.id, "image"):
        found = folder.find(document.image)
        if isinstance(found, Path):
            return found
        suffix = next((suffix for start, suffix in _SUFFIXES.items() if found.startswith(start)), ".img")
        name = hashlib.sha256(found).hexdigest()[:16] + suffix
        (part / IMAGES).mkdir(exist_ok=True)
        (part / IMAGES / name).write_bytes(found)
        return output.resolve() / IMAGES / name
    return None


def _write(
    part: Path,
    output: Path,
    splits: Mapping[str, list[tuple[Document, dict[str, Any]]]],
    report: Report,
    settings: Mapping[str, Any],
    agreement: Agreement,
    negative: str,
    multi_label: bool,
) -> Import:
    text, span = Value("string"), List(Value("int64"))
    features = dict.fromkeys(COLUMNS, text) | {"head": span, "tail": span}
    features["label"] = List(text) if multi_label else text
    datasets = {}
    for split, pairs in splits.items():
        rows = [row for _, row in pairs]
        absolute = [{**row, "image": None if row["image"] is None else str(row["image"])} for row in rows]
        datasets[split] = Dataset.from_list(
            [{name: row[name] for name in COLUMNS} for row in absolute], Features(features)
        )
        writer = RowWriter(part / f"{split}.jsonl", dict.fromkeys(COLUMNS, str))
        writer.write(list(_with_relative_images(rows, output.resolve())))
        writer.finish()
    with without_progress_bars():
        DatasetDict(datasets).save_to_disk(part / DATASET)
    report.write(part / REPORT)
    (part / SETTINGS).write_text(json.dumps(settings, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    labels = Counter(
        label for pairs in splits.values() for _, row in pairs for label in _labels_of(negative, row["label"])
    )
    return Import(
        folder=output,
        posts={split: len({document.id for document, _ in pairs}) for split, pairs in splits.items()},
        rows={split: len(pairs) for split, pairs in splits.items()},
        labels=dict(labels.most_common()),
        problems=report.counts(),
        agreement=agreement,
    )


def _with_relative_images(rows: Sequence[Mapping[str, Any]], folder: Path) -> Iterator[dict[str, Any]]:
    """Rows as a file of posts has them: image paths start at the folder of the file."""
    for row in rows:
        image = None if row["image"] is None else os.path.relpath(row["image"], folder)
        yield {name: image if name == "image" else row[name] for name in COLUMNS}

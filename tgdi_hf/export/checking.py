"""Comparing an export with the checkpoint that it was made from."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

from ..data.collator import TGDICollator
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..processing.processing_tgdi import TGDIProcessor
from .exported_model import ExportedTGDI


class ExportCheck(NamedTuple):
    r"""
    Args:
        rows: The number of rows compared.
        changed: The number of rows with another answer: another most likely relation, or of a multi-label model
            other relations that reach their thresholds.
        largest_difference: The largest absolute difference between logits.
    """

    rows: int
    changed: int
    largest_difference: float


def check_export(
    folder: str | Path,
    model: TGDIForRelationExtraction,
    processor: TGDIProcessor,
    rows: Sequence[Mapping[str, Any]],
    batch_size: int = 16,
) -> ExportCheck:
    r"""
    Compares the logits of an exported folder with those of the model it was exported from.

    Args:
        folder: The folder.
        model: The model.
        processor: Its processor.
        rows: Rows as `TGDICollator` takes them; labels are not read.
        batch_size: Rows per batch.

    Raises:
        ValueError: There are no rows.
    """
    if not len(rows):
        raise ValueError("Expected rows to compare the export with the model; got none.")
    exported, collate = ExportedTGDI(folder), TGDICollator(processor)
    model.eval()
    thresholds = None if model.config.thresholds is None else torch.tensor(model.config.thresholds)
    changed, largest = 0, 0.0
    for batch in _batches(rows, batch_size):
        inputs = collate([{name: value for name, value in row.items() if name != "label"} for row in batch])
        with torch.inference_mode():
            expected, found = model(**inputs).logits, exported(**inputs).logits
        largest = max(largest, (expected - found).abs().max().item())
        if thresholds is None:
            changed += int((expected.argmax(dim=1) != found.argmax(dim=1)).sum())
        else:
            answers = (one.sigmoid() >= thresholds for one in (expected, found))
            changed += int(torch.ne(*answers).any(dim=1).sum())
    return ExportCheck(len(rows), changed, largest)


def _batches(rows: Sequence[Mapping[str, Any]], size: int) -> Iterator[list[Mapping[str, Any]]]:
    for start in range(0, len(rows), size):
        yield [rows[i] for i in range(start, min(start + size, len(rows)))]

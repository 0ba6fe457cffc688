"""The probabilities that a model predicts for the rows of a dataset."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, Trainer

from ..data.collator import TGDICollator
from ..data.dataset_columns import undecoded
from ..data.perturbed import PerturbedDataset
from ..modeling.negative_label import negative_of
from ..processing.like_lengths import longest_first, token_counts
from ..processing.processing_tgdi import TGDIProcessor
from .metric import make_compute_metrics
from .scoring_arguments import scoring_arguments


class SwappedPairs:
    """Rows with head and tail exchanged, read as needed."""

    def __init__(self, rows: Any):
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        row = self.rows[index]
        return {**row, "head": row["tail"], "tail": row["head"]}


class RowsByLength(torch.utils.data.Dataset):
    r"""
    Rows sorted by length, read as needed, so that little of a batch is padding.

    Args:
        rows: A dataset or a list of rows.
        processor: The processor that tokenizes them.

    Attributes:
        place: `(rows,)`, the place of each of the original rows.
    """

    def __init__(self, rows: Any, processor: TGDIProcessor):
        self.rows = rows
        posts = [*_texts_of(rows)]
        texts = [post.get("text") if post.get("words") is None else " ".join(map(str, post["words"])) for post in posts]
        captions = [post.get("caption") for post in posts]
        lengths = token_counts(processor, [*map(_string, texts)], [*map(_string, captions)])
        self._order = longest_first(lengths)
        self.place = np.argsort(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self.rows[self._order[index]]


def _texts_of(rows: Any) -> Any:
    """The texts of rows; images are read only where rows cannot be read in part."""
    if isinstance(rows, SwappedPairs):
        return _texts_of(rows.rows)
    if not hasattr(rows, "select_columns"):
        return (rows[i] for i in range(len(rows)))
    return rows.select_columns([name for name in ("words", "text", "caption") if name in rows.column_names])


def _string(value: Any) -> str:
    return value if isinstance(value, str) else ""


class _RelabelledRows:
    """Perturbed rows with the model's label ids."""

    def __init__(self, rows: PerturbedDataset, labels: Sequence[int]):
        self.rows, self.labels = rows, labels

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {**self.rows[index], "label": self.labels[index]}


def rows_to_score(dataset: Dataset, control: PerturbedDataset | None) -> Any:
    """The rows of `dataset`, with its label ids, as the model reads them: as they are or, with `control`, perturbed."""
    return undecoded(dataset) if control is None else _RelabelledRows(control, dataset["label"][:])


def scoring_trainer(
    model: PreTrainedModel, processor: TGDIProcessor, output_dir: str | Path, names: Sequence[str], **arguments: Any
) -> Trainer:
    """A `Trainer` that only scores; `arguments` are fields of `TrainingArguments`."""
    args = scoring_arguments(output_dir, **arguments)
    thresholds = getattr(model.config, "thresholds", None)
    num_labels = None if thresholds is None else len(names)
    negative = negative_of(model.config, names)
    collator = TGDICollator(processor, share_images=args.n_gpu <= 1, num_labels=num_labels)
    return Trainer(
        model=model,
        args=args,
        data_collator=collator,  # type: ignore[arg-type]  # any mapping will do, not only a dict
        compute_metrics=make_compute_metrics(names, negative, per_relation=True, thresholds=thresholds),
    )


def probabilities_of(
    model: Any, processor: TGDIProcessor, names: Sequence[str], rows: Any, directed: bool = False, **arguments: Any
) -> np.ndarray:
    r"""
    Runs a model over rows.

    Args:
        model: A TGDI model or a baseline.
        processor: Its processor.
        names: The relations in the order of their ids.
        rows: A dataset or a list of rows, with labels. They are scored in batches of like length.
        directed: Whether to keep the inverse relations apart, for a model that has them.
        arguments: Fields of `TrainingArguments`.

    Returns:
        `(rows, L)`, or with `directed` `(rows, L + I)`, in the order of the rows.
    """
    ignored = getattr(model.config, "keys_to_ignore_at_inference", [])
    ignored = [name for name in ignored if name != "directed_logits" or not directed]
    by_length = RowsByLength(rows, processor)
    with TemporaryDirectory() as scratch:
        logits = scoring_trainer(model, processor, scratch, names, **arguments).predict(by_length, ignored).predictions
    logits = (logits[int(directed)] if isinstance(logits, tuple) else logits)[by_length.place].astype(np.float64)
    if getattr(model.config, "thresholds", None) is not None:
        return 1 / (1 + np.exp(-logits))
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)

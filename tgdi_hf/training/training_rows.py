"""Prepares the rows of a `Trainer`: in both orders of each pair, perturbed, or with their numbers of tokens."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, IterableDataset, List
from torch.utils.data import IterableDataset as TorchIterableDataset
from transformers import PreTrainedConfig, TrainingArguments

from ..data.dataset_columns import texts_of, undecoded
from ..data.entity_order import count_inverses, estimate_tail_first_bias, with_both_orders
from ..data.perturbed import PerturbedDataset
from ..data.swapped_images import SwappedImages, SwappedImageStream
from ..modeling.classification_loss import IGNORED
from ..modeling.negative_label import MULTI_LABEL
from ..processing.processing_tgdi import TGDIProcessor


def relation_names(dataset: Any, config: PreTrainedConfig) -> tuple[list[str], bool]:
    r"""
    The relations that label the rows.

    Args:
        dataset: A mapping of splits.
        config: The model's configuration, which names the relations if no split declares a `ClassLabel`.

    Returns:
        The names in the order of their ids, and whether a row may have several.

    Raises:
        ValueError: `dataset` is not a mapping of splits, a split has labels of another type, or nothing names the
            relations.
    """
    if not isinstance(dataset, Mapping) or not dataset:
        found = f"a {type(dataset).__name__}" if dataset or not isinstance(dataset, Mapping) else "an empty mapping"
        raise ValueError(
            f"`dataset` must be a mapping of splits, such as {{'train': ..., 'validation': ...}}; found {found}."
        )
    for split, rows in dataset.items():
        features = getattr(rows, "features", None)
        if not isinstance(features, Features):
            continue
        if "label" not in features:
            raise ValueError(
                f"The split {split!r} has no column 'label', only {', '.join(features)}. Convert a column of names, "
                "'label' or 'relation', with `tgdi_hf.data.labels.with_class_labels(dataset)`."
            )
        label = features["label"]
        several = isinstance(label, List)
        label = label.feature if isinstance(label, List) else label
        if isinstance(label, ClassLabel):
            return label.names, several
        if "int" not in getattr(label, "dtype", ""):
            raise ValueError(
                f"The column 'label' of the split {split!r} is {label}; expected a `ClassLabel`. Convert it with "
                "`tgdi_hf.data.labels.with_class_labels(dataset)`, or with `dataset.cast_column('label', "
                "ClassLabel(names=[...]))`."
            )
    names = [name for _, name in sorted((config.id2label or {}).items())]
    if all(name == f"LABEL_{i}" for i, name in enumerate(names)):
        raise ValueError(
            "Nothing names the relations: no split declares a `ClassLabel` (streams after `map` and lists of rows do "
            "not), and the model's configuration has no names. Declare it (`stream.cast(features)` with "
            "`Features({..., 'label': ClassLabel(names=[...])})`), or pass `id2label` to the model."
        )
    return names, getattr(config, "problem_type", None) == MULTI_LABEL


def in_trained_orders(rows: Any, config: PreTrainedConfig, names: Sequence[str], negative: str | None) -> Any:
    r"""
    Rows in the entity orders that a model is trained on: as listed or, with `config.direction_balanced`, in both.

    Args:
        rows: The training split.
        config: The model's configuration; see `with_both_orders` for its `symmetric_relations` and `inverse_labels`.
        names: The relations in the order of their ids.
        negative: The label that stands for no relation.

    Raises:
        ValueError: The inverse relations of the model are not those of the data, or see `with_both_orders`.
    """
    if not getattr(config, "direction_balanced", False):
        return rows
    symmetric, inverse_labels = getattr(config, "symmetric_relations", None), getattr(config, "inverse_labels", 0)
    if inverse_labels:
        known = [name for _, name in sorted((config.id2label or {}).items())]
        expected = count_inverses(names, symmetric, negative)
        if known != [*names] or inverse_labels != expected:
            raise ValueError(
                f"The model has the relations {', '.join(known)} and {inverse_labels} inverse relations; the data has "
                f"{', '.join(names)}, {expected} of them with an inverse. Build a model for this data, with "
                f"`inverse_labels={expected}`."
            )
    return with_both_orders(rows, symmetric, inverses=inverse_labels > 0, negative=negative)


def count_tail_first_bias(rows: Any, config: PreTrainedConfig, names: Sequence[str], negative: str | None) -> None:
    r"""
    Sets `config.tail_first_bias` from the rows that a model is trained on in their listed order.

    Args:
        rows: The training split as listed. The field keeps its value if the rows cannot be counted before training,
            such as those of a stream.
        config: The model's configuration.
        names: The relations in the order of their ids.
        negative: The label that stands for no relation; without one, no order says that there is none.
    """
    if not hasattr(config, "tail_first_bias") or negative is None or getattr(config, "direction_balanced", False):
        return
    if isinstance(rows, Dataset):
        symmetric = getattr(config, "symmetric_relations", None)
        config.tail_first_bias = estimate_tail_first_bias(rows, names, symmetric, negative)


def count_label_priors(rows: Any, config: PreTrainedConfig) -> None:
    r"""
    Sets `config.label_log_priors` from the rows that a model with `logit_adjustment` is trained on.

    Args:
        rows: The training split in the orders of `in_trained_orders`: a `Dataset` or a list of rows. For rows of
            another type, such as those of a stream, the field has to be set.
        config: The model's configuration.

    Raises:
        ValueError: The rows cannot be counted before training.
    """
    if not getattr(config, "logit_adjustment", 0):
        return
    if isinstance(rows, Dataset | list):
        labels = np.array(rows["label"][:] if isinstance(rows, Dataset) else [row["label"] for row in rows])
        counts = np.bincount(labels[labels != IGNORED], minlength=config.num_labels + config.inverse_labels)
        # One more of each, since a label without a row has no logarithm of its frequency.
        config.label_log_priors = np.log((counts + 1) / (counts + 1).sum()).tolist()
    elif config.label_log_priors is None:
        raise ValueError(
            f"`logit_adjustment` requires the frequencies of the labels, which cannot be counted in a "
            f"{type(rows).__name__} before training: set `model.config.label_log_priors`."
        )


def ready_rows(
    rows: Any, processor: TGDIProcessor, arguments: TrainingArguments, control: str | None, share: float
) -> Any:
    """Rows for `Trainer`, with images undecoded: perturbed or, for batches of similar length, with their numbers of
    tokens."""
    if control is not None:
        return PerturbedDataset(rows, control, share, arguments.seed)
    rows, column = undecoded(rows), arguments.length_column_name
    by_length = arguments.train_sampling_strategy == "group_by_length"
    if by_length and isinstance(rows, Dataset) and column not in rows.column_names:
        rows = rows.add_column(column, token_counts(rows, processor))
    return rows


def with_swapped_images(rows: Any, share: float, seed: int) -> Any:
    """Rows that are ready for `Trainer`, a share of which gets the image of another post."""
    is_stream = isinstance(rows, IterableDataset | TorchIterableDataset)
    return (SwappedImageStream if is_stream else SwappedImages)(rows, share, seed)


def declare_gate(config: PreTrainedConfig, swap_images: float) -> None:
    """Sets `config.gate_is_probability` for a model that is about to be trained."""
    if hasattr(config, "gate_is_probability"):
        config.gate_is_probability = bool(swap_images and config.matching_loss_weight)
        config.gate_calibration_error = None


def token_counts(dataset: Dataset, processor: TGDIProcessor) -> list[int]:
    r"""
    The number of tokens per row, in the text and, if the processor uses it, in the caption. `Trainer` requires it for
    batches of similar length (`train_sampling_strategy="group_by_length"`), which contain less padding.
    """

    def count(texts: list[str]) -> list[int]:
        parts = (texts[start : start + 1000] for start in range(0, len(texts), 1000))
        tokenized = (processor.tokenizer(part, add_special_tokens=False)["input_ids"] for part in parts)
        return [len(tokens) for part in tokenized for tokens in part]

    counts = count(texts_of(dataset))
    if processor.use_caption and "caption" in dataset.column_names:
        counts = [sum(both) for both in zip(counts, count([caption or "" for caption in dataset["caption"]]))]
    return counts

"""Columns of a dataset read without decoding its images: texts, and spans of head and tail."""

from collections.abc import Iterator, Mapping
from typing import Any

from datasets import Dataset, Features, Image, List

from ..processing.entity_mentions import text_and_spans

_FORMATS_OF_TABLES = ("pandas", "arrow", "polars")


def undecoded(dataset):
    """
    Leaves images to the collator, which decodes each distinct image of a batch once, in the dataloader workers.

    Args:
        dataset: Of `datasets`, or a dictionary of splits. What declares no features, such as a stream that was mapped,
            a list or a dataset of torch, has no images that are decoded when they are read, and is returned as it is.
            A dataset whose rows are tables (`with_format("pandas")`, …) gets rows that are mappings.
    """
    if isinstance(dataset, Mapping):
        return type(dataset)({split: undecoded(rows) for split, rows in dataset.items()})
    if getattr(dataset, "format", {}).get("type") in _FORMATS_OF_TABLES:
        dataset = dataset.with_format(None, columns=dataset.format["columns"])
    features = getattr(dataset, "features", None)
    for name, feature in features.items() if isinstance(features, Features) else ():
        if isinstance(feature, Image) and feature.decode:
            dataset = dataset.cast_column(name, Image(decode=False))
        elif isinstance(feature, List) and isinstance(feature.feature, Image) and feature.feature.decode:
            dataset = dataset.cast_column(name, List(Image(decode=False)))
    return dataset


def texts_of(dataset: Dataset) -> list[str]:
    """The text of every row; nothing else of it is read."""
    columns = [name for name in ("words", "text") if name in dataset.column_names]
    rows = dataset.select_columns(columns)
    return [row["text"] if row.get("words") is None else " ".join(row["words"]) for row in rows]


def spans_of(rows: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """Head and tail of every row, in characters of its text."""
    columns = [name for name in ("text", "words", "head", "tail") if name in rows.column_names]
    # Which place is meant of several is up to the collator, which asks.
    return (text_and_spans(row, f"row {i}", "first")[1] for i, row in enumerate(rows.select_columns(columns)))

"""Reads columns of a dataset without decoding its images."""

from collections.abc import Iterator, Mapping
from typing import Any

from datasets import Features, Image, List

from ..processing.head_and_tail import text_and_spans

_TABLE_FORMATS = ("pandas", "arrow", "polars")


def undecoded(dataset: Any) -> Any:
    r"""
    Leaves decoding of images to the collator, which decodes each distinct image of a batch once, in the dataloader's
    workers.

    Args:
        dataset: A dataset of `datasets`, or a dictionary of splits. One that declares no features, such as a mapped
            stream, a list or a torch dataset, decodes no images when a row is read, and is returned unchanged. A
            dataset whose rows are tables (`with_format("pandas")`, …) gets rows that are mappings.

    Returns:
        The dataset, whose image columns hold paths or bytes.
    """
    if isinstance(dataset, Mapping):
        splits = {split: undecoded(rows) for split, rows in dataset.items()}
        return type(dataset)(splits)  # type: ignore[call-arg]  # `Mapping` declares no constructor
    if getattr(dataset, "format", {}).get("type") in _TABLE_FORMATS:
        dataset = dataset.with_format(None, columns=dataset.format["columns"])
    features = getattr(dataset, "features", None)
    for name, feature in features.items() if isinstance(features, Features) else ():
        if isinstance(feature, Image) and feature.decode:
            dataset = dataset.cast_column(name, Image(decode=False))
        elif isinstance(feature, List) and isinstance(feature.feature, Image) and feature.feature.decode:
            dataset = dataset.cast_column(name, List(Image(decode=False)))
    return dataset


def texts_of(dataset: Any) -> list[str]:
    """The text of every row; words are joined by spaces. No other column is read."""
    columns = [name for name in ("words", "text") if name in dataset.column_names]
    rows = dataset.select_columns(columns)
    return [row["text"] if row.get("words") is None else " ".join(row["words"]) for row in rows]


def spans_of(dataset: Any) -> Iterator[tuple[tuple[int, int], tuple[int, int]]]:
    """The spans of head and tail of every row, `[start, end)` in characters of its text."""
    columns = [name for name in ("text", "words", "head", "tail") if name in dataset.column_names]
    # The collator refuses ambiguous mentions; here any one place will do.
    return (text_and_spans(row, f"row {i}", "first")[1] for i, row in enumerate(dataset.select_columns(columns)))

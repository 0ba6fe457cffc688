"""Converts a column of relation names to label ids that all splits share, one label per row or several."""

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, NamedTuple

from datasets import ClassLabel, Dataset, DatasetDict, List

from ..modeling.negative_label import AUTO, NEGATIVE, as_spelled, find_negative

LABEL_COLUMNS = ("label", "relation", "labels", "relations")


class LabelNames(NamedTuple):
    r"""
    The labels of a dataset.

    Args:
        names: The labels in the order of their ids.
        is_multi_label: Whether a row may have several.
    """

    names: list[str]
    is_multi_label: bool


def with_class_labels(dataset: DatasetDict, negative: str | None = AUTO) -> DatasetDict:
    r"""
    Converts relation names to a column `label` with ids that all splits share.

    A column of names becomes a `ClassLabel`: each row has one label, and the label that stands for no relation has
    id 0. A column of lists becomes a `List(ClassLabel)`: a row may have several relations or none, and the label that
    stands for no relation is removed from the lists.

    Args:
        dataset: Splits with a column `label`, `relation`, `labels` or `relations`.
        negative: The label that stands for no relation, see `find_negative`.

    Raises:
        ValueError: The column is missing, or a value is not a relation name; or see `find_negative`.
    """
    features = next(iter(dataset.values())).features
    column = next((name for name in LABEL_COLUMNS if name in features), None)
    if column is None:
        raise ValueError(
            f"The posts have no column 'label' or 'relation' with the relations to learn or to score; found "
            f"{', '.join(features)}. (`tgdi predict` needs none.){misspelt_labels(features)}"
        )
    if column != "label":
        dataset = dataset.rename_column(column, "label")
    feature = features[column]
    if isinstance(feature, List):
        return dataset if isinstance(feature.feature, ClassLabel) else _with_label_lists(dataset, column, negative)
    if isinstance(feature, ClassLabel):
        if negative not in (AUTO, None):
            find_negative(feature.names, negative)
        return dataset
    names = {name for rows in dataset.values() for name in rows.unique("label")}
    _check_names(names, column)
    return dataset.cast_column("label", ClassLabel(names=in_label_order(names, negative)))


def misspelt_labels(columns: Iterable[str]) -> str:
    """The column that may have been meant for the relations, for messages about their absence; empty if none was."""
    for column in columns:
        if get_close_matches(column.lower(), LABEL_COLUMNS, n=1, cutoff=0.75):
            return f" Are the relations in {column!r}? Then rename it."
    return ""


def in_label_order(names: Iterable[str], negative: str | None = AUTO) -> list[str]:
    """Sorts labels by their names, after the one that stands for no relation."""
    ordered = sorted(names)
    # With "auto", which other label may stand for no relation is asked when a model is built.
    first = as_spelled(NEGATIVE, ordered) if negative == AUTO else find_negative(ordered, negative)
    return sorted(ordered, key=lambda name: name != first)


def _with_label_lists(dataset: DatasetDict, column: str, negative: str | None) -> DatasetDict:
    names = {name for rows in dataset.values() for labels in rows["label"] for name in labels or ()}
    _check_names(names, column)
    none = find_negative(sorted(names), negative)
    _check_negative_is_alone(dataset, none)
    return dataset.map(
        lambda row: {"label": [name for name in row["label"] or () if name != none]},
        desc="labels",
    ).cast_column("label", List(ClassLabel(names=sorted(names - {none}))))


def _check_negative_is_alone(dataset: DatasetDict, none: str | None) -> None:
    """Refuses a row that has both a relation and the label that stands for no relation."""
    for split, rows in dataset.items():
        for number, labels in enumerate(rows["label"]):
            if labels and none in labels and len(set(labels)) > 1:
                raise ValueError(
                    f"{split}, row {number}: the labels are {labels}, but {none!r} stands for no relation. Leave it "
                    "out of rows that have a relation; or, if it is a relation, pass `negative=None` "
                    "(`--no-negative`)."
                )


def _check_names(names: Iterable[Any], column: str) -> None:
    wrong = [name for name in names if not isinstance(name, str)]
    if wrong:
        raise ValueError(
            f"The column {column!r} has the value {wrong[0]!r}; expected the name of a relation in every row, "
            f"{NEGATIVE!r} if there is none."
        )


def label_names(dataset: Mapping[str, Dataset] | Dataset) -> LabelNames:
    """The labels of a dataset or of its splits, which share them."""
    rows = next(iter(dataset.values())) if isinstance(dataset, Mapping) else dataset
    feature = rows.features["label"]
    is_multi_label = isinstance(feature, List)
    return LabelNames((feature.feature if is_multi_label else feature).names, is_multi_label)

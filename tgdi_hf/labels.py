"""The column of labels: from names of relations to ids that all splits share, one per row or several."""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, List

from .modeling.negative_label import AUTO, NEGATIVE, find_negative, likely_negatives

logger = logging.getLogger(__name__)

COLUMNS = ("label", "relation", "labels", "relations")


def with_class_labels(dataset: DatasetDict, negative: str | None = AUTO) -> DatasetDict:
    r"""
    Turns a column of relation names into `label`, with ids that all splits share.

    A column of names becomes a `ClassLabel`: each row has one label, and the one that stands for no relation comes
    first. A column of lists of names becomes a `List(ClassLabel)`: a row may have several relations, or none, and the
    name that stands for no relation is dropped from the lists.

    Args:
        dataset: Its splits have a column `label`, `relation`, `labels` or `relations`.
        negative: The name that stands for no relation, see `find_negative`.

    Raises:
        ValueError: There is no such column, or a row has no relation name in it.
    """
    features = next(iter(dataset.values())).features
    column = next((name for name in COLUMNS if name in features), None)
    if column is None:
        raise ValueError(
            f"The posts have no column 'label' or 'relation', which says what is to be learned or scored; found "
            f"{', '.join(features)}. (`tgdi predict` needs none.)"
        )
    if column != "label":
        dataset = dataset.rename_column(column, "label")
    feature = features[column]
    if isinstance(feature, List):
        return dataset if isinstance(feature.feature, ClassLabel) else _with_sets(dataset, column, negative)
    if isinstance(feature, ClassLabel):
        return dataset
    found = {name for rows in dataset.values() for name in rows.unique("label")}
    _check_names(found, column)
    first = NEGATIVE if negative == AUTO else negative
    names = sorted(found, key=lambda name: (name != first, name))
    return dataset.cast_column("label", ClassLabel(names=names))


def _with_sets(dataset: DatasetDict, column: str, negative: str | None) -> DatasetDict:
    rows = [names for split in dataset.values() for names in split["label"]]
    found = {name for names in rows for name in (names or ())}
    _check_names(found, column)
    if negative == AUTO:
        dropped = {NEGATIVE, *likely_negatives(sorted(found))} & _alone(rows)
    else:
        dropped = {find_negative(sorted(found), negative)}
    for name in dropped - {None}:
        logger.warning("Rows labelled %r have no relation; `negative=None` makes it a relation like the others.", name)
    names = sorted(found - dropped)
    return dataset.map(
        lambda row: {"label": [name for name in row["label"] or () if name not in dropped]},
        desc="labels",
    ).cast_column("label", List(ClassLabel(names=names)))


def _alone(rows: Iterable[list[str] | None]) -> set[str]:
    """The names that never stand beside another one: "no relation" and a relation exclude each other."""
    together = {name for names in rows if names and len(names) > 1 for name in names}
    return {name for names in rows for name in (names or ())} - together


def _check_names(found: Iterable[Any], column: str) -> None:
    wrong = [name for name in found if not isinstance(name, str)]
    if wrong:
        raise ValueError(
            f"The column {column!r} has the value {wrong[0]!r}; expected the name of a relation for every post, "
            f"{NEGATIVE!r} where there is none."
        )


def label_names(dataset: Mapping[str, Dataset] | Dataset) -> tuple[list[str], bool]:
    """The names of the labels, in the order of their ids, and whether a row may have several."""
    features = (dataset if hasattr(dataset, "features") else next(iter(dataset.values()))).features
    feature = features["label"]
    several = isinstance(feature, List)
    return (feature.feature if several else feature).names, several

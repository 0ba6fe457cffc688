"""The column of labels: from names of relations to ids that all splits share, one per row or several."""

from collections.abc import Iterable, Mapping
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, List

from ..modeling.negative_label import AUTO, NEGATIVE, find_negative

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
        if negative not in (AUTO, None):
            find_negative(feature.names, negative)
        return dataset
    found = {name for rows in dataset.values() for name in rows.unique("label")}
    _check_names(found, column)
    first = NEGATIVE if negative == AUTO else find_negative(sorted(found), negative)
    names = sorted(found, key=lambda name: (name != first, name))
    return dataset.cast_column("label", ClassLabel(names=names))


def _with_sets(dataset: DatasetDict, column: str, negative: str | None) -> DatasetDict:
    rows = [names for split in dataset.values() for names in split["label"]]
    found = {name for names in rows for name in (names or ())}
    _check_names(found, column)
    none = find_negative(sorted(found), negative)
    _check_alone(dataset, none)
    names = sorted(found - {none})
    return dataset.map(
        lambda row: {"label": [name for name in row["label"] or () if name != none]},
        desc="labels",
    ).cast_column("label", List(ClassLabel(names=names)))


def _check_alone(dataset: DatasetDict, none: str | None) -> None:
    """Refuses a row with a relation and the label that says that there is none."""
    for split, rows in dataset.items():
        for number, names in enumerate(rows["label"]):
            if names and none in names and len(set(names)) > 1:
                raise ValueError(
                    f"{split}, row {number}: the labels are {names}, but {none!r} stands for no relation. Leave it out "
                    "of rows that have one; or say `negative=None` (`--no-negative`) if it is a relation."
                )


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

"""Entity order in a dataset: training on both orders of every pair, inverse relations, and the prior of the order in
which a corpus lists its pairs. (`processing.entity_order` scores both orders of a pair.)"""

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, concatenate_datasets

from ..modeling.negative_label import NEGATIVE, as_spelled
from ..processing.entity_order import symmetric_relations
from .dataset_columns import spans_of, texts_of

_MNRE_NAME = re.compile(r"/\w+/\w+/\w+")


def swapped_labels(
    names: Sequence[str],
    symmetric: Collection[str] | None = None,
    inverses: bool = False,
    negative: str | None = NEGATIVE,
) -> np.ndarray:
    r"""
    Maps the label of a pair to the label of the same pair with head and tail swapped. A symmetric relation keeps its
    label. A one-way relation becomes `None` or, with `inverses`, its inverse: the relation from tail to head.

    Args:
        names: The labels in the order of their ids, `negative` among them.
        symmetric: The symmetric relations: full labels, or the part after the last slash. The default is those of
            MNRE, for labels spelled like MNRE's.
        inverses: Give each of the I one-way relations an inverse, with the ids L, L + 1, ...
        negative: The label that stands for no relation, called `None` above.

    Returns:
        `(L,)`, ids; with `inverses` `(L + I,)`, a permutation that is its own inverse.

    Raises:
        ValueError: `negative` is not a label; `symmetric` contains an unknown relation; or `symmetric` is not given,
            and a label is not spelled like MNRE's.
    """
    none = _id_of_negative(names, negative)
    other = [name for name in names if name != names[none] and not _MNRE_NAME.fullmatch(name)]
    if symmetric is None and other:
        raise ValueError(
            f"Which relations are symmetric? {other[0]!r} is not spelled like MNRE's. Pass the symmetric ones as "
            "`symmetric`, on the command line `--symmetric NAME` for each, or `--symmetric none` if there are none."
        )
    known = {part for name in names for part in (name, name.rpartition("/")[2])}
    if unknown := [name for name in symmetric or () if name not in known]:
        raise ValueError(
            f"`symmetric` contains {unknown[0]!r}, which is not a relation; the relations are {', '.join(names)}."
        )
    is_symmetric = symmetric_relations(names, symmetric)
    if not inverses:
        return np.array([i if keeps_label else none for i, keeps_label in enumerate(is_symmetric)])
    one_way = [i for i, keeps_label in enumerate(is_symmetric) if not keeps_label and i != none]
    swapped = np.arange(len(names) + len(one_way))
    swapped[one_way], swapped[len(names) :] = np.arange(len(names), len(swapped)), one_way
    return swapped


def _id_of_negative(names: Sequence[str], negative: str | None) -> int:
    negative = as_spelled(negative, names)
    if negative is None or negative not in names:
        raise ValueError(
            f"No label is called {negative!r}, and a swapped pair needs a label that stands for no relation; the "
            f"labels are {', '.join(names)}. Pass its name as `negative_label` (`--negative NAME`)."
        )
    return list(names).index(negative)


def count_inverses(
    names: Sequence[str], symmetric: Collection[str] | None = None, negative: str | None = NEGATIVE
) -> int:
    """I, the number of one-way relations; see `swapped_labels`."""
    return len(swapped_labels(names, symmetric, True, negative)) - len(names)


# Training on both orders


def with_both_orders(
    dataset: Dataset,
    symmetric: Collection[str] | None = None,
    inverses: bool = False,
    negative: str | None = NEGATIVE,
) -> Dataset:
    r"""
    Appends every row with head and tail swapped, so that the order of a pair is no evidence of a relation.

    MNRE lists pairs without a relation in text order, and related pairs in the direction of their relation: with the
    tail first, 97 % of its training rows have a relation. A model trained on these rows alone takes the order itself
    for evidence when it scores all pairs of a post. Here a swapped pair gets the label of `swapped_labels`. A pair
    that the dataset lists in both orders keeps both labels. An epoch is twice as long.

    Args:
        dataset: Rows with `head`, `tail` and `label`, a `ClassLabel`.
        symmetric: See `swapped_labels`.
        inverses: Label a swapped one-way relation as its inverse, for models with `config.inverse_labels`. If the
            dataset lists that pair in both orders, and the other order without a relation, the latter gets the inverse.
        negative: The label that stands for no relation.

    Returns:
        The rows, followed by the swapped ones.

    Raises:
        ValueError: The dataset is a stream, head and tail have different types, or see `swapped_labels`.
    """
    if not isinstance(dataset, Dataset):
        raise ValueError(f"Both orders need the rows of a `datasets.Dataset`; found {type(dataset).__name__}.")
    features = dataset.features
    if features["head"] != features["tail"]:
        raise ValueError(
            "Head and tail can be swapped only if both are spans or both are mentions; found "
            f"{features['head']} and {features['tail']}."
        )
    names = features["label"].names
    label_of_swapped = swapped_labels(names, symmetric, inverses, negative)
    if inverses:
        inverse_names = [f"{names[i]} from tail to head" for i in label_of_swapped[len(names) :]]
        labels = _labels_with_inverses(dataset, label_of_swapped, _id_of_negative(names, negative))
        dataset = _with_labels(dataset, labels, ClassLabel(names=[*names, *inverse_names]))
    rows = _rows_to_swap(dataset)
    if not rows:
        return dataset
    swapped = dataset.select(rows)
    labels = label_of_swapped[np.array(swapped["label"][:], dtype=int)]
    # Renaming columns copies no data.
    swapped = swapped.rename_column("head", "_").rename_column("tail", "head").rename_column("_", "tail")
    swapped = _with_labels(swapped, labels, dataset.features["label"])
    return concatenate_datasets([dataset, swapped.select_columns(dataset.column_names)])


def _with_labels(dataset: Dataset, labels: np.ndarray, feature: ClassLabel) -> Dataset:
    columns = dataset.column_names
    return dataset.remove_columns("label").add_column("label", labels, feature=feature).select_columns(columns)


def _rows_to_swap(dataset: Any) -> list[int]:
    """The rows whose pair the dataset does not list in the other order, with a label of its own."""
    pairs = _listed_pairs(dataset)
    listed = set(pairs)
    return [row for row, (text, head, tail) in enumerate(pairs) if (text, tail, head) not in listed]


def _labels_with_inverses(dataset: Any, label_of_swapped: np.ndarray, none: int) -> np.ndarray:
    """The labels of the rows; if the other order of a pair without relation is listed with a one-way relation, the
    inverse of that relation."""
    labels = np.array(dataset["label"][:], dtype=int)
    pairs = _listed_pairs(dataset)
    one_way = {pair: label for pair, label in zip(pairs, labels.tolist()) if label_of_swapped[label] != label}
    for row, (text, head, tail) in enumerate(pairs):
        if labels[row] == none and (text, tail, head) in one_way:
            labels[row] = label_of_swapped[one_way[text, tail, head]]
    return labels


def _listed_pairs(dataset: Any) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
    """Text, span of the head and span of the tail of every row."""
    return [(text, head, tail) for text, (head, tail) in zip(texts_of(dataset), spans_of(dataset))]


# The prior of the listed order


def is_tail_first(dataset: Any) -> np.ndarray:
    """`(rows,)`: 1 if the head does not precede the tail in the text. If both start together, the shorter precedes."""
    return np.array([head >= tail for head, tail in spans_of(dataset)], dtype=np.int64)


def estimate_order_prior(
    dataset: Any,
    names: Sequence[str],
    symmetric: Collection[str] | None = None,
    inverses: bool = False,
    negative: str | None = NEGATIVE,
) -> np.ndarray:
    r"""
    Estimates how far the order in which a corpus lists a pair is evidence of its label.

    A model trained on both orders predicts probabilities that ignore that order. Those for rows as listed follow by
    Bayes' rule, if the rows of a label and an order look alike whether listed or swapped: multiply by the number of
    these rows as listed, over their number in both orders. The same model can thus be scored on a benchmark in its
    published order, with these weights, and score all pairs of a post, without them.

    Args:
        dataset: The training rows as listed.
        names, symmetric, inverses, negative: See `swapped_labels`.

    Returns:
        `(2, L)`, with `inverses` `(2, L + I)`: the weights of the labels with the head first, and with the tail first;
        see `apply_order_prior`.
    """
    label_of_swapped = swapped_labels(names, symmetric, inverses, negative)
    labels, tail_first = np.array(dataset["label"][:]), is_tail_first(dataset)
    if inverses:
        labels = _labels_with_inverses(dataset, label_of_swapped, _id_of_negative(names, negative))
    listed, swapped = np.zeros((2, len(label_of_swapped))), np.zeros((2, len(label_of_swapped)))
    np.add.at(listed, (tail_first, labels), 1)
    rows = _rows_to_swap(dataset)
    np.add.at(swapped, (1 - tail_first[rows], label_of_swapped[labels[rows]]), 1)
    both = listed + swapped
    # A label that is never listed in an order is unlikely there, not impossible: half a row stands for it.
    weights = np.divide(np.maximum(listed, 0.5), both, out=np.ones_like(both), where=both > 0)
    if inverses:  # all inverses share one weight per order: most are too rare for one of their own
        totals = [counts[:, len(names) :].sum(axis=1) for counts in (listed, both)]
        weights[:, len(names) :] = (np.maximum(totals[0], 0.5) / np.maximum(totals[1], 1))[:, None]
    return weights


def estimate_tail_first_bias(
    dataset: Any,
    names: Sequence[str],
    symmetric: Collection[str] | None = None,
    negative: str | None = NEGATIVE,
) -> float | None:
    r"""
    Counts how far a corpus lists pairs without a relation in text order: log(a / l), where l of the listed pairs
    without a relation have the tail first, and a would if every pair were listed in both orders. With MNRE's training
    split it is log(9,576 / 36) = 5.6; with a corpus that lists every pair in both orders, 0.

    Args:
        dataset: The training rows as listed.
        names, negative: See `swapped_labels`.
        symmetric: The symmetric relations: full labels, or the part after the last slash. The default is those of
            MNRE; other relations then hold in one direction.

    Returns:
        The value of `TGDIConfig.tail_first_bias`; `None` if no row is without a relation.
    """
    none = _id_of_negative(names, negative)
    is_symmetric = np.array(symmetric_relations(names, symmetric))
    labels, tail_first = np.array(dataset["label"][:], dtype=int), is_tail_first(dataset)
    if not (labels == none).any():
        return None
    listed = ((labels == none) & (tail_first == 1)).sum()
    rows = _rows_to_swap(dataset)
    becomes_none = ~is_symmetric[labels[rows]] | (labels[rows] == none)
    swapped = (becomes_none & (tail_first[rows] == 0)).sum()
    # Half a row stands for none at all, as in `estimate_order_prior`.
    return float(np.log(max(listed + swapped, 0.5) / max(listed, 0.5)))


def apply_order_prior(probabilities: np.ndarray, prior: np.ndarray, dataset: Any) -> np.ndarray:
    r"""
    Applies the prior of the listed order to the predictions of a model trained on both orders.

    Args:
        probabilities: `(rows, L)`, predicted by the model.
        prior: `(2, L)`, from `estimate_order_prior`.
        dataset: The scored rows as listed.

    Returns:
        `(rows, L)`: the probabilities, given that each pair is listed in its order.
    """
    weighted = probabilities * prior[is_tail_first(dataset)]
    return weighted / weighted.sum(axis=1, keepdims=True)


# Predictions of models with inverse relations


def average_both_orders(listed: np.ndarray, swapped: np.ndarray, label_of_swapped: np.ndarray) -> np.ndarray:
    r"""
    Averages the predictions of a model with inverse relations over both orders of each pair.

    Args:
        listed, swapped: `(rows, L + I)`, probabilities for the pairs as listed, and with head and tail swapped.
        label_of_swapped: `(L + I,)`, see `swapped_labels`.

    Returns:
        `(rows, L + I)`, probabilities for the pairs as listed.
    """
    return (listed + swapped[:, label_of_swapped]) / 2


def fold_inverse_probabilities(
    probabilities: np.ndarray, names: Sequence[str], negative: str | None = NEGATIVE
) -> np.ndarray:
    """`(rows, L)`: adds the probabilities of inverse relations to that of `negative`; see `modeling.inverse_relations`.
    Without inverse relations, the probabilities are returned unchanged."""
    if probabilities.shape[1] == len(names):
        return probabilities
    folded = probabilities[:, : len(names)].copy()
    folded[:, _id_of_negative(names, negative)] += probabilities[:, len(names) :].sum(axis=1)
    return folded

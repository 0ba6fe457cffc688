"""Training on both orders of every pair, so that the order itself says nothing."""

import re
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, concatenate_datasets

from ..modeling.negative_label import NEGATIVE
from ..processing.entity_order import symmetric_relations
from .dataset_columns import spans_of, texts_of

MNRE_NAME = re.compile(r"/\w+/\w+/\w+")


def swapped_labels(
    names: Sequence[str],
    symmetric: Collection[str] | None = None,
    inverses: bool = False,
    negative: str | None = NEGATIVE,
) -> np.ndarray:
    r"""
    The relation of a pair whose head and tail are swapped, by that of the pair: the same if it holds both ways, else
    `None`, or with `inverses` the relation from tail to head.

    Args:
        names: The relations, in the order of their ids; `negative` among them.
        symmetric: Relations that hold both ways: whole names, or what comes after their last slash. By default those
            of MNRE, for relations that are spelled like MNRE's.
        inverses: Whether the I relations that do not hold both ways have an inverse each, with the ids L, L + 1, ...
        negative: The label that stands for no relation, called `None` here.

    Returns:
        `(L,)`, ids; with `inverses` `(L + I,)`, and swapping twice changes nothing.

    Raises:
        ValueError: No label is called `negative`; one of `symmetric` is no relation; or it is not given, and there
            are relations that are not spelled like MNRE's, of which nobody knows whether they hold both ways.
    """
    if negative not in names:
        raise ValueError(
            f"No label is called {negative!r}, and a swapped pair needs one that stands for no relation; found "
            f"{', '.join(names)}. Name it as `negative_label` (`--negative NAME`)."
        )
    other = [name for name in names if name != negative and not MNRE_NAME.fullmatch(name)]
    if symmetric is None and other:
        raise ValueError(
            f"Which relations hold both ways? {other[0]!r} is none of MNRE's. Name those that do: `symmetric`, on the "
            "command line `--symmetric NAME` for each, or `--symmetric none` if no relation does."
        )
    parts = {name for whole in names for name in (whole, whole.rpartition("/")[2])}
    if unknown := [name for name in symmetric or () if name not in parts]:
        raise ValueError(f"`symmetric` has {unknown[0]!r}, which is no relation; the relations are {', '.join(names)}.")
    both_ways = symmetric_relations(names, symmetric)
    none = list(names).index(negative)
    if not inverses:
        return np.array([i if both else none for i, both in enumerate(both_ways)])
    one_way = [i for i, both in enumerate(both_ways) if not both and i != none]
    swapped = np.arange(len(names) + len(one_way))
    swapped[one_way], swapped[len(names) :] = np.arange(len(names), len(swapped)), one_way
    return swapped


def count_inverses(
    names: Sequence[str], symmetric: Collection[str] | None = None, negative: str | None = NEGATIVE
) -> int:
    """I, how many relations hold in one direction only; see `swapped_labels`."""
    return len(swapped_labels(names, symmetric, True, negative)) - len(names)


def to_be_swapped(dataset: Any) -> list[int]:
    """The places of the rows whose pair is not listed the other way round, too, with a label of its own."""
    posts = _listed_pairs(dataset)
    listed = set(posts)
    return [place for place, (text, head, tail) in enumerate(posts) if (text, tail, head) not in listed]


def labels_with_inverses(dataset: Any, swapped_label: np.ndarray, none: int) -> np.ndarray:
    """The labels of the rows as listed; `None` becomes the inverse of the relation that the pair has the other way
    round, where that is listed, too. `swapped_label` is that with inverses."""
    labels = np.array(dataset["label"][:], dtype=int)
    posts = _listed_pairs(dataset)
    one_way = {post: label for post, label in zip(posts, labels.tolist()) if swapped_label[label] != label}
    for place, (text, head, tail) in enumerate(posts):
        if labels[place] == none and (text, tail, head) in one_way:
            labels[place] = swapped_label[one_way[text, tail, head]]
    return labels


def _listed_pairs(dataset: Any) -> list[tuple[Any, Any, Any]]:
    """Text, and spans of head and tail, of every row."""
    return [(text, head, tail) for text, (head, tail) in zip(texts_of(dataset), spans_of(dataset))]


def with_both_orders(
    dataset: Dataset,
    symmetric: Collection[str] | None = None,
    inverses: bool = False,
    negative: str | None = NEGATIVE,
) -> Dataset:
    r"""
    Every row of a dataset, and after them every row with head and tail swapped.

    MNRE lists pairs without relation in the order of the text only, and relations in the direction that they have:
    "tail first" means "some relation" in 97 % of its training rows, and a model that scores all pairs of a post goes by
    it. Here a pair without relation has none both ways, a symmetric relation holds both ways, and any other has,
    swapped, no relation. A pair that is listed both ways keeps its labels. An epoch is twice as long.

    Args:
        dataset: Rows with `head`, `tail` and `label`, a `ClassLabel`.
        symmetric: See `swapped_labels`.
        inverses: For models with `config.inverse_labels`: such a swapped pair has the inverse of its relation instead.
            So has one that is listed both ways, where it is listed without relation.
        negative: The label that stands for no relation.

    Raises:
        ValueError: The dataset is a stream, or gives head and tail in different forms; or see `swapped_labels`.
    """
    if not isinstance(dataset, Dataset):
        raise ValueError(f"Both orders need the rows of a `datasets.Dataset`; found {type(dataset).__name__}.")
    features = dataset.features
    if features["head"] != features["tail"]:
        raise ValueError(
            f"Head and tail can only be swapped if both are spans or both are names; found {features['head']} and "
            f"{features['tail']}."
        )
    names = features["label"].names
    label_of_swapped = swapped_labels(names, symmetric, inverses, negative)
    if inverses:
        inverse_names = [f"{names[i]} from tail to head" for i in label_of_swapped[len(names) :]]
        label = ClassLabel(names=[*names, *inverse_names])
        columns, labels = dataset.column_names, labels_with_inverses(dataset, label_of_swapped, names.index(negative))
        dataset = dataset.remove_columns("label").add_column("label", labels, feature=label).select_columns(columns)
        features = dataset.features
    places = to_be_swapped(dataset)
    if not places:
        return dataset
    swapped = dataset.select(places)
    labels = label_of_swapped[np.array(swapped["label"][:], dtype=int)]
    # Columns change their names, and nothing is copied.
    swapped = swapped.rename_column("head", "_").rename_column("tail", "head").rename_column("_", "tail")
    swapped = swapped.remove_columns("label").add_column("label", labels, feature=features["label"])
    return concatenate_datasets([dataset, swapped.select_columns(dataset.column_names)])


def is_tail_first(rows: Any) -> np.ndarray:
    """`(rows,)`: 1 where the head does not come before the tail in the text. Of two that start together, the shorter is
    the first."""
    return np.array([head >= tail for head, tail in spans_of(rows)], dtype=np.int64)


def listed_order_weights(
    dataset: Any,
    names: Sequence[str],
    symmetric: Collection[str] | None = None,
    inverses: bool = False,
    negative: str | None = NEGATIVE,
) -> np.ndarray:
    r"""
    What the order of head and tail says about the relation in rows as they are listed, but not in `with_both_orders` of
    them.

    A model that was trained on both orders has probabilities for rows in both orders. Those for rows as listed follow
    by Bayes' rule, if the rows of a relation and an order look alike whether listed or swapped: multiply by how many of
    them there are as listed over how many there are in both orders. So the same model answers a benchmark in its
    published order, with these weights, and all pairs of a post, without them.

    Args:
        dataset: The training rows, as listed.
        names, symmetric, inverses, negative: See `swapped_labels`.

    Returns:
        `(2, L)`, with `inverses` `(2, L + I)`: rows with the head first, and the tail first, see `apply_order_prior`.
    """
    swapped_label = swapped_labels(names, symmetric, inverses, negative)
    labels, tail_first = np.array(dataset["label"][:]), is_tail_first(dataset)
    if inverses:
        labels = labels_with_inverses(dataset, swapped_label, list(names).index(negative))
    listed, swapped = np.zeros((2, len(swapped_label))), np.zeros((2, len(swapped_label)))
    np.add.at(listed, (tail_first, labels), 1)
    places = to_be_swapped(dataset)
    np.add.at(swapped, (1 - tail_first[places], swapped_label[labels[places]]), 1)
    both = listed + swapped
    # A relation that is never listed in an order is unlikely there; it is not impossible.
    weights = np.divide(np.maximum(listed, 0.5), both, out=np.ones_like(both), where=both > 0)
    if inverses:  # whether they are listed is up to the data as a whole, and many are too rare to tell
        of_all = [counts[:, len(names) :].sum(axis=1) for counts in (listed, both)]
        weights[:, len(names) :] = (np.maximum(of_all[0], 0.5) / np.maximum(of_all[1], 1))[:, None]
    return weights


def apply_order_prior(probabilities: np.ndarray, weights: np.ndarray, rows: Any) -> np.ndarray:
    r"""
    Args:
        probabilities: `(rows, L)`, of a model that was trained on both orders.
        weights: From `listed_order_weights`.
        rows: Those that were scored, as their dataset lists them.

    Returns:
        `(rows, L)`: the probabilities, given that rows are listed in that order.
    """
    weighted = probabilities * weights[is_tail_first(rows)]
    return weighted / weighted.sum(axis=1, keepdims=True)


def of_both_passes(probabilities: np.ndarray, of_swapped: np.ndarray, swapped_label: np.ndarray) -> np.ndarray:
    r"""
    The mean of what a model with inverse relations says of pairs in either order: it reads each of them twice.

    Args:
        probabilities, of_swapped: `(rows, L + I)`, of the pairs and of the same pairs swapped.
        swapped_label: `(L + I,)`, see `swapped_labels`.

    Returns:
        `(rows, L + I)`, of the pairs as they are in `probabilities`.
    """
    return (probabilities + of_swapped[:, swapped_label]) / 2


def without_inverses(probabilities: np.ndarray, names: Sequence[str], negative: str | None = NEGATIVE) -> np.ndarray:
    """`(rows, L)`: a relation from tail to head is `negative`; see `modeling.inverse_relations`."""
    if probabilities.shape[1] == len(names):
        return probabilities
    folded = probabilities[:, : len(names)].copy()
    folded[:, list(names).index(negative)] += probabilities[:, len(names) :].sum(axis=1)
    return folded


__all__ = [
    "apply_order_prior",
    "count_inverses",
    "is_tail_first",
    "listed_order_weights",
    "of_both_passes",
    "swapped_labels",
    "with_both_orders",
    "without_inverses",
]

"""Scores of predicted relations: micro-averaged, and of each relation."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from ..data.mnre_schema import RELATIONS
from ..modeling.negative_label import NEGATIVE, as_spelled, likely_negatives
from .score_counts import precision_recall_f1


def relation_scores(
    predictions: ArrayLike,
    references: ArrayLike,
    names: Sequence[str] = RELATIONS,
    negative: str | None = NEGATIVE,
) -> dict[str, Any]:
    r"""
    Scores predicted relations by the protocol of MNRE (the paper's Eq. 17 to 20).

    A row counts as found if its prediction is correct and is not `negative`. Precision divides the number of rows found
    by the number of predictions other than `negative`, recall by the number of rows whose label is not `negative`, and
    F1 is their harmonic mean. A score whose denominator is 0 is 0.

    Args:
        predictions: `(rows,)` ids, indices into `names`.
        references: `(rows,)` ids, indices into `names`.
        names: The relations in the order of their ids.
        negative: Name of the label that stands for no relation; the default also finds MNRE-1's spelling, `"none"`.
            `None` (as opposed to `"None"`) means that every label is a relation and counts.

    Returns:
        `accuracy` over all rows, `precision`, `recall` and `f1`, floats from 0 to 1, and `per_relation`: a mapping from
        every name, `negative` included, to its `precision`, `recall`, `f1` and `support`, the number of its rows.

    Raises:
        ValueError: No rows, unequal lengths, values that are not indices into `names`, a name that occurs twice, or no
            label called `negative`.

    Example:

    ```python
    >>> scores = relation_scores([0, 5, 9], [0, 5, 5])
    >>> scores["precision"], scores["recall"]
    (0.5, 0.5)
    ```
    """
    predicted_ids, true_ids = as_ids("predictions", predictions), as_ids("references", references)
    if len(predicted_ids) != len(true_ids):
        raise ValueError(
            f"Expected one prediction per row, found {len(predicted_ids)} predictions and {len(true_ids)} references."
        )
    if not len(true_ids):
        raise ValueError("Nothing to score: expected at least one row, found none.")
    negative = checked_negative(names, negative)
    for argument, ids in (("predictions", predicted_ids), ("references", true_ids)):
        strays = np.flatnonzero((ids < 0) | (ids >= len(names)))
        if len(strays):
            raise ValueError(
                f"`{argument}` has id {ids[strays[0]]} in row {strays[0]}; expected ids from 0 to {len(names) - 1}, "
                "indices into `names`."
            )

    size = len(names)
    confusion = np.bincount(true_ids * size + predicted_ids, minlength=size * size).reshape(size, size)
    found, predicted, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    counted = np.array([name != negative for name in names])
    return _scores(found.sum() / support.sum(), found, predicted, support, names, counted)


def multi_label_scores(predictions: ArrayLike, references: ArrayLike, names: Sequence[str]) -> dict[str, Any]:
    r"""
    Scores sets of relations: an entity pair may have several relations, or none.

    Args:
        predictions: `(rows, L)`, true where the relation is predicted.
        references: `(rows, L)`, true where the relation holds.
        names: The relations in the order of their ids.

    Returns:
        As `relation_scores`, with micro averages over all relations; `accuracy` is the share of rows for which exactly
        the relations that hold are predicted.

    Raises:
        ValueError: No rows, arrays of another shape, or references other than true and false.
    """
    predicted, true = np.asarray(predictions, dtype=bool), np.asarray(references)
    if predicted.shape != true.shape or true.ndim != 2 or true.shape[1] != len(names):
        raise ValueError(
            f"The predictions have shape {predicted.shape} and the references {true.shape}; expected (rows, "
            f"{len(names)}) for both, one column per name in `names`."
        )
    if not len(true):
        raise ValueError("Nothing to score: expected at least one row, found none.")
    strays = ~np.isin(true, (0, 1))
    if strays.any():
        raise ValueError(f"The references have the value {true[strays][0]}; expected 0 and 1 only.")
    true = true.astype(bool)
    found, predictions_per_label, support = (flags.sum(axis=0) for flags in (predicted & true, predicted, true))
    accuracy = (predicted == true).all(axis=1).mean()
    return _scores(accuracy, found, predictions_per_label, support, names, np.ones(len(names), dtype=bool))


def _scores(
    accuracy: float,
    found: np.ndarray,
    predicted: np.ndarray,
    support: np.ndarray,
    names: Sequence[str],
    counted: np.ndarray,
) -> dict[str, Any]:
    """From counts per label, `(L,)` each; those that `counted` marks enter the micro averages."""
    micro = precision_recall_f1(found[counted].sum(), predicted[counted].sum(), support[counted].sum())
    per_relation = precision_recall_f1(found, predicted, support)
    return {
        "accuracy": float(accuracy),
        **_named(micro),
        "per_relation": {
            name: {**_named(scores), "support": int(rows)} for name, scores, rows in zip(names, per_relation, support)
        },
    }


def _named(scores: np.ndarray) -> dict[str, float]:
    return dict(zip(("precision", "recall", "f1"), scores.tolist()))


def as_ids(argument: str, values: ArrayLike | None) -> np.ndarray:
    """`values` as `(rows,)` int64. Refuses anything but whole numbers, which evaluate would round."""
    ids = np.asarray(values)
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise ValueError(
            f"`{argument}` has shape {ids.shape} and type {ids.dtype}; expected whole numbers, one per row. Convert "
            "logits to ids with `argmax(-1)`."
        )
    return ids.astype(np.int64)


def checked_negative(names: Sequence[str], negative: str | None) -> str | None:
    r"""
    `negative` as the labels spell it.

    Raises:
        ValueError: A name occurs twice, or no label is called `negative`.
    """
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        raise ValueError(f"`names` has {twice} more than once; expected distinct relations.")
    negative = as_spelled(negative, names)
    if negative is not None and negative not in names:
        hint = f" (here probably {likely[0]!r})" if (likely := likely_negatives(names)) else ""
        raise ValueError(
            f"No label is called {negative!r}, so it cannot be left out of F1; found {list(names)}. Pass the name of "
            f"the label that stands for no relation{hint} as `negative`, or None if every label is a relation."
        )
    return negative

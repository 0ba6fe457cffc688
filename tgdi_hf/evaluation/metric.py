"""The MNRE metric: accuracy over all rows; micro precision, recall and F1 without the relation `None`."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike
from transformers import EvalPrediction

from ..data.mnre_schema import RELATIONS
from ..modeling.negative_label import NEGATIVE, likely_negatives
from .evaluation_batches import joined


def relation_scores(
    predictions: ArrayLike,
    references: ArrayLike,
    names: Sequence[str] = RELATIONS,
    negative: str | None = NEGATIVE,
) -> dict[str, Any]:
    r"""
    Scores predicted relations as MNRE is scored (the paper's Eq. 17 to 20).

    A row counts as found if its prediction is right and not `negative`. Precision divides the rows found by the
    predictions that are not `negative`, recall by the rows that are not, and F1 is their harmonic mean. Where there is
    nothing to divide by, because `negative` is all that was predicted or all there is, the score is 0.

    Args:
        predictions: `(rows,)` ids, indices into `names`.
        references: `(rows,)` ids, likewise.
        names: The relations in the order of their ids.
        negative: Name of the relation that stands for "no relation". `None`, unlike `"None"`, says that there is no
            such relation, so that all count.

    Returns:
        `accuracy` over all rows, `precision`, `recall` and `f1`, floats from 0 to 1, and `per_relation`: a mapping from
        every name, `negative` included, to its `precision`, `recall`, `f1` and `support`, the number of its rows.

    Raises:
        ValueError: No rows, unequal lengths, something else than indices into `names`, a name that occurs twice, or no
            relation called `negative`.

    Example:

    ```python
    >>> scores = relation_scores([0, 5, 9], [0, 5, 5])
    >>> scores["precision"], scores["recall"]
    (0.5, 0.5)
    ```
    """
    predictions, references = _ids("predictions", predictions), _ids("references", references)
    if len(predictions) != len(references):
        raise ValueError(
            f"Expected one prediction a row, found {len(predictions)} predictions and {len(references)} references."
        )
    if not len(references):
        raise ValueError("Nothing to score: expected at least one row, found none.")
    _check_names(names, negative)
    for argument, ids in (("predictions", predictions), ("references", references)):
        strays = np.flatnonzero((ids < 0) | (ids >= len(names)))
        if len(strays):
            raise ValueError(
                f"`{argument}` has id {ids[strays[0]]} in row {strays[0]}; expected ids from 0 to {len(names) - 1}, "
                "indices into `names`."
            )

    size = len(names)
    confusion = np.bincount(references * size + predictions, minlength=size * size).reshape(size, size)
    found, predicted, support = confusion.diagonal(), confusion.sum(axis=0), confusion.sum(axis=1)
    counted = np.array([name != negative for name in names])
    return _all_scores(found.sum() / support.sum(), found, predicted, support, names, counted)


def _all_scores(
    accuracy: float, found: np.ndarray, predicted: np.ndarray, support: np.ndarray, names: Sequence[str], counted: Any
) -> dict[str, Any]:
    """From counts per label, `(L,)` each, of which `counted` enter the micro averages."""
    return {
        "accuracy": float(accuracy),
        **_scores(found[counted].sum(), predicted[counted].sum(), support[counted].sum()),
        "per_relation": {
            name: {**_scores(found[i], predicted[i], support[i]), "support": int(support[i])}
            for i, name in enumerate(names)
        },
    }


def multi_label_scores(predictions: ArrayLike, references: ArrayLike, names: Sequence[str]) -> dict[str, Any]:
    r"""
    Scores sets of relations: an entity pair may have several, or none.

    Args:
        predictions: `(rows, L)`, true where the relation is predicted.
        references: `(rows, L)`, true where it holds.
        names: The relations in the order of their ids.

    Returns:
        As `relation_scores`; micro averages over all relations, and `accuracy` is the share of rows whose relations are
        all found and no other.

    Raises:
        ValueError: No rows, or arrays of another shape.
    """
    predictions, references = np.asarray(predictions, dtype=bool), np.asarray(references)
    if predictions.shape != references.shape or references.ndim != 2 or references.shape[1] != len(names):
        raise ValueError(
            f"The predictions have shape {predictions.shape} and the references {references.shape}; expected (rows, "
            f"{len(names)}) for both, one column for each of `names`."
        )
    if not len(references):
        raise ValueError("Nothing to score: expected at least one row, found none.")
    strays = ~np.isin(references, (0, 1))
    if strays.any():
        raise ValueError(f"The references have the value {references[strays][0]}; expected 0 and 1 only.")
    references = references.astype(bool)
    found, predicted, support = ((one).sum(axis=0) for one in (predictions & references, predictions, references))
    accuracy = (predictions == references).all(axis=1).mean()
    return _all_scores(accuracy, found, predicted, support, names, np.ones(len(names), dtype=bool))


def best_thresholds(probabilities: ArrayLike, references: ArrayLike) -> list[float]:
    r"""
    The decision threshold of each relation that gives it the best F1. Choose them on validation, never on test, and
    save them in the model: `model.config.decision_thresholds = best_thresholds(…)`.

    Args:
        probabilities: `(rows, L)`, of a multi-label model.
        references: `(rows, L)`, true where the relation holds.

    Returns:
        L numbers between 0 and 1, both excluded: halfway between the least probability that is taken and the next one
        below it; 0.5 for a relation without a row.

    Raises:
        ValueError: Other shapes; values that are no probabilities, such as logits or NaN; or references other than
            true and false.
    """
    probabilities, references = _checked_probabilities(probabilities, references)
    # The configuration refuses 1 as a threshold, so that a probability of 1 counts as the number below it.
    probabilities = np.minimum(probabilities, np.nextafter(1, 0))
    thresholds = []
    for scores, holds in zip(probabilities.T, references.T):
        order = np.argsort(-scores, kind="stable")
        ranked, right = scores[order], np.cumsum(holds[order])
        # Equal scores are taken together or not at all.
        ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
        ends = ends[ranked[ends] > 0]  # no threshold above 0 takes a probability of 0
        if not holds.any() or not ends.size:
            thresholds.append(0.5)
            continue
        f1 = 2 * right[ends] / (ends + 1 + holds.sum())
        last = ends[f1.argmax()]
        below = ranked[last + 1] if last + 1 < len(ranked) else 0.0
        middle = (ranked[last] + below) / 2
        thresholds.append(float(middle if middle > below else ranked[last]))  # there may be no number between them
    return thresholds


def _checked_probabilities(probabilities: ArrayLike, references: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both as `(rows, L)`, floats and booleans."""
    found = {}
    for name, values in (("probabilities", probabilities), ("references", references)):
        try:
            found[name] = np.asarray(values, dtype=float)
        except (TypeError, ValueError) as error:
            raise ValueError(f"`{name}` is no array of numbers, one row per entity pair: {error}") from None
    scores, holds = found.values()
    if scores.ndim != 2 or scores.shape != holds.shape:
        raise ValueError(
            f"`probabilities` has shape {scores.shape} and `references` {holds.shape}; expected (rows, L) of both, a "
            "column per relation."
        )
    if (wrong := ~((scores >= 0) & (scores <= 1))).any():  # NaN, too
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"`probabilities` has {scores[row, column]} in row {row}, column {column}; expected numbers from 0 to 1. "
            "Logits become probabilities with the sigmoid."
        )
    if (wrong := (holds != 0) & (holds != 1)).any():
        row, column = np.argwhere(wrong)[0]
        raise ValueError(
            f"`references` has {holds[row, column]} in row {row}, column {column}; expected true (1) where the "
            "relation holds and false (0) where it does not."
        )
    return scores, holds.astype(bool)


def _ids(argument: str, values: ArrayLike) -> np.ndarray:
    """`values` as `(rows,)` int64. Refuses whatever is not whole numbers, which evaluate would round."""
    ids = np.asarray(values)
    if ids.ndim != 1 or (ids.size and not np.issubdtype(ids.dtype, np.integer)):
        raise ValueError(
            f"`{argument}` has shape {ids.shape} and type {ids.dtype}; expected whole numbers, one a row. Logits "
            "become ids with `argmax(-1)`."
        )
    return ids.astype(np.int64)


def _check_names(names: Sequence[str], negative: str | None) -> None:
    if len(set(names)) != len(names):
        twice = sorted({name for name in names if list(names).count(name) > 1})
        raise ValueError(f"`names` has {twice} more than once; expected distinct relations.")
    if negative is not None and negative not in names:
        hint = f" (here probably {likely[0]!r})" if (likely := likely_negatives(names)) else ""
        raise ValueError(
            f"No label is called {negative!r}, so it cannot be left out of F1; found {list(names)}. Pass the name of "
            f"the label that stands for no relation{hint} as `negative`, or None if every label is a relation."
        )


def _scores(found: int, predicted: int, support: int) -> dict[str, float]:
    return {
        "precision": float(found / predicted) if predicted else 0.0,
        "recall": float(found / support) if support else 0.0,
        "f1": float(2 * found / (predicted + support)) if predicted + support else 0.0,
    }


class MNREMetric(evaluate.Metric):
    r"""
    `relation_scores` as an `evaluate.Metric`: `compute`, `add` and `add_batch` work as in every other.

    It needs no network and, other than metrics from the Hub, collects rows in memory and leaves the disk alone unless
    several processes share the work (`num_process`) or `keep_in_memory=False` asks for evaluate's cache.

    Args:
        keep_in_memory: Whether rows are collected in memory; so by default in a single process.
        num_process: Number of processes that compute the metric together.
        kwargs: The other arguments of `evaluate.Metric` (`process_id`, `experiment_id`, `cache_dir`, ...).

    Example:

    ```python
    >>> metric = MNREMetric()
    >>> metric.compute(predictions=[0, 5, 9], references=[0, 5, 5])["f1"]
    0.5
    >>> metric.compute(predictions=[0, 1], references=[1, 1], names=["no", "yes"], negative="no")["recall"]
    0.5
    ```
    """

    def __init__(self, *, keep_in_memory: bool | None = None, num_process: int = 1, **kwargs: Any):
        keep_in_memory = num_process == 1 if keep_in_memory is None else keep_in_memory
        super().__init__(keep_in_memory=keep_in_memory, num_process=num_process, **kwargs)

    def add_batch(self, *, predictions: ArrayLike | None = None, references: ArrayLike | None = None) -> None:
        """Adds predicted and true ids, `(rows,)` each."""
        super().add_batch(predictions=_ids("predictions", predictions), references=_ids("references", references))

    def add(self, *, prediction: int | None = None, reference: int | None = None) -> None:
        """Adds the predicted and the true id of one row."""
        self.add_batch(predictions=[prediction], references=[reference])

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Accuracy over all rows; micro precision, recall and F1 without the relation `None`.",
            citation="MNRE: Zheng et al., ICME 2021, https://ieeexplore.ieee.org/document/9428274",
            inputs_description=relation_scores.__doc__,
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(
        self,
        *,
        predictions: ArrayLike,
        references: ArrayLike,
        names: Sequence[str] = RELATIONS,
        negative: str | None = NEGATIVE,
    ) -> dict[str, Any]:
        return relation_scores(predictions, references, names, negative)

    def _build_data_dir(self) -> str:
        # evaluate makes the folder of its cache even for a metric that never writes there.
        return "" if self.keep_in_memory else super()._build_data_dir()

    def _finalize(self) -> None:
        if self.writer is None:
            raise ValueError("Nothing to score: give `predictions` and `references`, or call `add_batch` first.")
        super()._finalize()


def compute_metrics(
    evaluation: EvalPrediction,
    names: Sequence[str] = RELATIONS,
    negative: str | None = NEGATIVE,
    per_relation: bool = False,
    thresholds: Sequence[float] | None = None,
) -> dict[str, float]:
    r"""
    `relation_scores` in the form of `Trainer`'s argument `compute_metrics`, for the relations of MNRE. For others, or
    for the scores of each relation, see `make_compute_metrics`.

    Args:
        evaluation: Has logits `(rows, labels)`, or a tuple that begins with them, and `label_ids` `(rows,)`; or a list
            of each, one per batch.
        names: As for `relation_scores`.
        negative: As for `relation_scores`.
        per_relation: Whether to add the scores of each relation.
        thresholds: Of a multi-label model: the least probability of each relation that holds. `label_ids` are then
            `(rows, labels)`, and `negative` has no meaning.

    Returns:
        `accuracy`, `precision`, `recall` and `f1`; with `per_relation` also `"f1 /per/per/peer"` and so on, for
        `precision`, `recall`, `f1` and `support` of every name.

    Raises:
        ValueError: What is predicted is not one logit for each of `names`, a logit is NaN, or as in `relation_scores`.
    """
    logits, labels = joined(evaluation)
    return _metrics(_predicted(logits, names, thresholds), labels, names, negative, per_relation, thresholds)


def _predicted(logits: np.ndarray, names: Sequence[str], thresholds: Sequence[float] | None) -> np.ndarray:
    """Ids, `(rows,)`; of a multi-label model which relations hold, `(rows, labels)`."""
    if logits.ndim != 2 or logits.shape[1] != len(names):
        raise ValueError(
            f"The predictions have shape {logits.shape}; expected (rows, {len(names)}), one logit for each of "
            "`names`. `make_compute_metrics` takes the relations of another model."
        )
    if wrong := int(np.isnan(logits).any(axis=1).sum()):
        raise ValueError(
            f"The logits of {wrong} of {len(logits)} rows are NaN, so nothing is predicted for them. Training has "
            "diverged, or half precision has overflowed: lower the learning rate, or compute in bfloat16 or float32."
        )
    if thresholds is None:
        return logits.argmax(axis=-1)
    # The same side of a threshold, without the rounding of a sigmoid.
    return logits.astype(float) >= np.log(np.asarray(thresholds) / (1 - np.asarray(thresholds)))


def _metrics(
    predicted: np.ndarray,
    labels: ArrayLike,
    names: Sequence[str],
    negative: str | None,
    per_relation: bool,
    thresholds: Sequence[float] | None,
) -> dict[str, float]:
    if thresholds is None:
        scores = relation_scores(predicted, labels, names, negative)
    else:
        scores = multi_label_scores(predicted, labels, names)
    by_name = scores.pop("per_relation")
    if per_relation:
        scores |= {f"{kind} {name}": float(value) for name, of in by_name.items() for kind, value in of.items()}
    return scores


class TrainerMetrics:
    r"""
    `compute_metrics` for given relations, over a whole split or, with `TrainingArguments(batch_eval_metrics=True)`,
    batch by batch: then only predicted and true ids are kept, not the logits.

    Args:
        options: Those of `compute_metrics`.
    """

    def __init__(self, **options: Any):
        self.options = options
        self.reset()

    def reset(self) -> None:
        """Forgets the batches of an evaluation that was interrupted."""
        self._predicted: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def __call__(self, evaluation: EvalPrediction, compute_result: bool | None = None) -> dict[str, float]:
        r"""
        Args:
            evaluation: See `compute_metrics`.
            compute_result: `None` for a whole split. `False` for a batch that is followed by others, which gives no
                metrics yet; `True` for the last one, which gives those of all batches.
        """
        if compute_result is None:
            return compute_metrics(evaluation, **self.options)
        logits, labels = joined(evaluation)
        self._predicted.append(_predicted(logits, self.options["names"], self.options["thresholds"]))
        self._labels.append(labels)
        if not compute_result:
            return {}
        predicted, labels = np.concatenate(self._predicted), np.concatenate(self._labels)
        self.reset()
        return _metrics(predicted, labels, **self.options)


def make_compute_metrics(
    names: Sequence[str] = RELATIONS,
    negative: str | None = NEGATIVE,
    per_relation: bool = False,
    thresholds: Sequence[float] | None = None,
) -> TrainerMetrics:
    r"""
    `compute_metrics` for other relations, or with the scores of each.

    Args:
        names: The relations in the order of their ids.
        negative: Name of the relation that stands for "no relation", or `None` if every relation counts.
        per_relation: Whether to add the scores of each relation.
        thresholds: Of a multi-label model, see `compute_metrics`; `negative` has no meaning then.

    Returns:
        For `Trainer`: called with an `EvalPrediction`. It also takes batches one by one (`batch_eval_metrics`) and
        batches that were not concatenated (`eval_do_concat_batches=False`).

    Raises:
        ValueError: No relation is called `negative`, or a name occurs twice.

    Example:

    ```python
    >>> trainer = Trainer(..., compute_metrics=make_compute_metrics(dataset["train"].features["label"].names))
    ```
    """
    _check_names(names, negative if thresholds is None else None)
    return TrainerMetrics(names=tuple(names), negative=negative, per_relation=per_relation, thresholds=thresholds)


__all__ = [
    "MNREMetric",
    "best_thresholds",
    "compute_metrics",
    "make_compute_metrics",
    "multi_label_scores",
    "relation_scores",
]

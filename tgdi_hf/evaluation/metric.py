"""The MNRE metric: accuracy over all rows; micro precision, recall and F1 without the relation `None`."""

from collections.abc import Sequence
from typing import Any

import datasets
import evaluate
import numpy as np
from numpy.typing import ArrayLike
from transformers import EvalPrediction

from ..data.mnre_schema import RELATIONS
from ..modeling.negative_label import NEGATIVE
from .gathered_predictions import logits_and_labels
from .relation_scores import as_ids, checked_negative, multi_label_scores, relation_scores


class MNREMetric(evaluate.Metric):
    r"""
    `relation_scores` as an `evaluate.Metric`, with its methods `compute`, `add` and `add_batch`.

    It requires no network. Unlike metrics from the Hub, it collects rows in memory and does not write to disk, unless
    several processes compute it together (`num_process`) or `keep_in_memory=False` selects evaluate's cache.

    Args:
        keep_in_memory: Whether rows are collected in memory; by default only in a single process.
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
        super().add_batch(predictions=as_ids("predictions", predictions), references=as_ids("references", references))

    def add(self, *, prediction: int | None = None, reference: int | None = None) -> None:
        """Adds the predicted and the true id of one row."""
        # `as_ids` refuses a missing id.
        self.add_batch(predictions=np.array([prediction]), references=np.array([reference]))

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
        # evaluate creates its cache folder even for a metric that never writes to it.
        return "" if self.keep_in_memory else super()._build_data_dir()

    def _finalize(self) -> None:
        if self.writer is None:
            raise ValueError("Nothing to score: pass `predictions` and `references`, or call `add_batch` first.")
        super()._finalize()


def compute_metrics(
    evaluation: EvalPrediction,
    names: Sequence[str] = RELATIONS,
    negative: str | None = NEGATIVE,
    per_relation: bool = False,
    thresholds: Sequence[float] | None = None,
) -> dict[str, float]:
    r"""
    `relation_scores` in the form that the argument `compute_metrics` of `Trainer` requires, for the relations of MNRE.
    For other relations, see `make_compute_metrics`.

    Args:
        evaluation: Logits `(rows, L)`, or a tuple whose first element they are, and `label_ids` `(rows,)`; or lists
            with one of each per batch.
        names: As for `relation_scores`.
        negative: As for `relation_scores`.
        per_relation: Whether to add the scores of each relation.
        thresholds: The decision thresholds of a multi-label model, one per relation. `label_ids` are then `(rows, L)`,
            and `negative` is ignored.

    Returns:
        `accuracy`, `precision`, `recall` and `f1`; with `per_relation` also `"f1 /per/per/peer"` and so on, for
        `precision`, `recall`, `f1` and `support` of every name.

    Raises:
        ValueError: The predictions are not one logit per name, or a logit is NaN. See also `relation_scores`.
    """
    logits, labels = logits_and_labels(evaluation)
    return _metrics(_predicted(logits, names, thresholds), labels, names, negative, per_relation, thresholds)


def _predicted(logits: np.ndarray, names: Sequence[str], thresholds: Sequence[float] | None) -> np.ndarray:
    """Predicted ids, `(rows,)`; for a multi-label model, whether each relation is predicted, `(rows, L)`."""
    if logits.ndim != 2 or logits.shape[1] != len(names):
        raise ValueError(
            f"The predictions have shape {logits.shape}; expected (rows, {len(names)}), one logit per name. Pass "
            "the relations of the model to `make_compute_metrics`."
        )
    if wrong := int(np.isnan(logits).any(axis=1).sum()):
        raise ValueError(
            f"The logits of {wrong} of {len(logits)} rows are NaN, so they have no prediction. Training has "
            "diverged, or half precision has overflowed: lower the learning rate, or compute in bfloat16 or float32."
        )
    if thresholds is None:
        return logits.argmax(axis=-1)
    # Compared as logits, without the rounding of a sigmoid.
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
        for name, of_relation in by_name.items():
            scores |= {f"{kind} {name}": float(value) for kind, value in of_relation.items()}
    return scores


class TrainerMetrics:
    r"""
    `compute_metrics` for given relations, over a whole split or, with `TrainingArguments(batch_eval_metrics=True)`,
    batch by batch, which keeps predicted and true ids instead of the logits.

    Args:
        options: The arguments of `compute_metrics`.
    """

    def __init__(self, **options: Any):
        self.options = options
        self.reset()

    def reset(self) -> None:
        """Discards the batches of an interrupted evaluation."""
        self._predicted: list[np.ndarray] = []
        self._labels: list[np.ndarray] = []

    def __call__(self, evaluation: EvalPrediction, compute_result: bool | None = None) -> dict[str, float]:
        r"""
        Args:
            evaluation: See `compute_metrics`.
            compute_result: `None` for a whole split; `False` for a batch that others follow; `True` for the last batch.

        Returns:
            The metrics of the split or of all batches; empty for a batch that others follow.
        """
        if compute_result is None:
            return compute_metrics(evaluation, **self.options)
        logits, labels = logits_and_labels(evaluation)
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
    `compute_metrics` for given relations.

    Args:
        names: The relations in the order of their ids.
        negative: Name of the label that stands for no relation, or `None` if every label is a relation.
        per_relation: Whether to add the scores of each relation.
        thresholds: The decision thresholds of a multi-label model, see `compute_metrics`; `negative` is then ignored.

    Returns:
        A callable for the argument `compute_metrics` of `Trainer`, which also supports single batches
        (`batch_eval_metrics`) and batches that were not concatenated (`eval_do_concat_batches=False`).

    Raises:
        ValueError: No label is called `negative`, or a name occurs twice.

    Example:

    ```python
    >>> trainer = Trainer(..., compute_metrics=make_compute_metrics(dataset["train"].features["label"].names))
    ```
    """
    checked_negative(names, negative if thresholds is None else None)
    return TrainerMetrics(names=tuple(names), negative=negative, per_relation=per_relation, thresholds=thresholds)


__all__ = ["MNREMetric", "TrainerMetrics", "compute_metrics", "make_compute_metrics"]

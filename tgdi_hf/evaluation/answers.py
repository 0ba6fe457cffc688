"""The scored rows behind a report: their metrics, and the misclassified ones."""

from collections.abc import Iterator
from typing import Any, TypedDict

import numpy as np
from transformers import EvalPrediction

from .metric import make_compute_metrics


class Answers(TypedDict):
    r"""
    Labels and probabilities of scored rows.

    Attributes:
        names: The relations in the order of their ids.
        negative: The label that stands for no relation, or `None` if every label is a relation.
        labels: `(rows,)`, true ids.
        probabilities: `(rows, L)`.
    """

    names: list[str]
    negative: str | None
    labels: np.ndarray
    probabilities: np.ndarray


def metrics_of(answers: Answers) -> dict[str, float]:
    """The metrics that `evaluate` returns, computed from `answers` without running the model again."""
    compute = make_compute_metrics(answers["names"], answers["negative"], per_relation=True)
    metrics = compute(EvalPrediction(answers["probabilities"], answers["labels"]))
    return {f"eval_{name}": value for name, value in metrics.items()}


def count_errors(answers: Answers) -> int:
    """The number of misclassified rows."""
    return int((answers["probabilities"].argmax(axis=1) != answers["labels"]).sum())


def errors_of(answers: Answers, rows: Any) -> Iterator[dict[str, Any]]:
    r"""
    The misclassified rows, by falling confidence.

    Args:
        answers: The scored rows.
        rows: The same rows, as the model read them.

    Yields:
        Each row without its `label` id, but with the names of the true `relation` and of the `predicted` one, and with
        the `score` of the latter.
    """
    predicted = answers["probabilities"].argmax(axis=1)
    wrong = np.flatnonzero(predicted != answers["labels"])
    for i in wrong[np.argsort(-answers["probabilities"][wrong].max(axis=1), kind="stable")].tolist():
        row = {name: value for name, value in rows[i].items() if name != "label"}
        yield {
            **row,
            "relation": answers["names"][answers["labels"][i]],
            "predicted": answers["names"][predicted[i]],
            "score": float(answers["probabilities"][i].max()),
        }

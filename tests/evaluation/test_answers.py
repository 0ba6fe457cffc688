import numpy as np
import pytest

from tgdi_hf.evaluation.answers import count_errors, errors_of, metrics_of

# The first row is correct; the others are wrong, the third with more confidence than the second.
ANSWERS = {
    "names": ["None", "a", "b"],
    "negative": "None",
    "labels": np.array([1, 2, 0]),
    "probabilities": np.array([[0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.1, 0.2, 0.7]]),
}
ROWS = [{"text": text, "label": label} for text, label in zip("xyz", (1, 2, 0))]


def test_metrics_worked_by_hand():
    metrics = metrics_of(ANSWERS)
    assert metrics["eval_accuracy"] == pytest.approx(1 / 3)
    assert (metrics["eval_precision"], metrics["eval_recall"]) == pytest.approx((1 / 3, 1 / 2))
    assert metrics["eval_recall a"] == 1 and metrics["eval_support b"] == 1


def test_errors_come_by_falling_confidence():
    assert count_errors(ANSWERS) == 2
    assert list(errors_of(ANSWERS, ROWS)) == [
        {"text": "z", "relation": "None", "predicted": "b", "score": 0.7},
        {"text": "y", "relation": "b", "predicted": "a", "score": 0.5},
    ]

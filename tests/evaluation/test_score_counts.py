import numpy as np
import pytest

from tgdi_hf.evaluation.relation_scores import relation_scores
from tgdi_hf.evaluation.score_counts import micro_scores, precision_recall_f1, relation_counts, relation_f1, row_counts


def test_micro_scores_agree_with_the_metric(two_models):
    labels, predictions, _ = two_models
    found = micro_scores(row_counts(predictions, labels, 0).sum(0))
    expected = relation_scores(predictions, labels, ["None", "a", "b", "c"])
    assert found.tolist() == pytest.approx([expected[name] for name in ("accuracy", "precision", "recall", "f1")])
    assert micro_scores(np.zeros(5)).tolist() == [0, 0, 0, 0]


def test_precision_recall_and_f1_worked_by_hand():
    # 3 correct of 5 predicted and 6 true; nothing predicted and nothing true.
    scores = precision_recall_f1([3, 0], [5, 0], [6, 0])
    assert scores.tolist() == [[3 / 5, 3 / 6, 6 / 11], [0, 0, 0]]
    assert np.isnan(precision_recall_f1(0, 0, 0, undefined=np.nan)).all()


def test_relation_f1_is_undefined_without_rows_and_predictions():
    predictions, labels = np.array([0, 1, 1]), np.array([0, 0, 1])
    found = relation_f1(relation_counts(predictions, labels, 3).sum(axis=0))
    assert found[:2].tolist() == [2 / 3, 2 / 3] and np.isnan(found[2])

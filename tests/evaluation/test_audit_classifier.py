import numpy as np
import pytest

pytest.importorskip("sklearn", reason="needs the extra `audit`")
from sklearn.metrics import roc_auc_score

from tgdi_hf.evaluation.audit_classifier import area_with_interval


def test_the_area_agrees_with_scikit_learn():
    generator = np.random.default_rng(0)
    target = generator.integers(0, 2, 300)
    scores = np.round(target + generator.normal(size=300))  # with ties
    found = area_with_interval(scores, target, np.arange(300) // 3, seed=0)
    assert found["value"] == pytest.approx(roc_auc_score(target, scores))
    assert found["low"] < found["value"] < found["high"]
    assert area_with_interval(np.zeros(300), target, np.arange(300), seed=0) == {"value": 0.5, "low": 0.5, "high": 0.5}

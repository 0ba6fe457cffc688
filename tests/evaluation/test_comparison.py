import numpy as np
import pytest
from scipy.stats import binomtest

from tgdi_hf.evaluation.comparison import mcnemar, paired_difference
from tgdi_hf.evaluation.score_counts import micro_scores, row_counts


def test_a_better_model_is_significantly_better(two_models):
    labels, worse, better = two_models
    one, two = row_counts(worse, labels, 0), row_counts(better, labels, 0)
    found = paired_difference(one, two)
    assert found["difference"] == pytest.approx(micro_scores(two.sum(0))[3] - micro_scores(one.sum(0))[3])
    assert 0 < found["interval"][0] < found["difference"] < found["interval"][1]
    assert found["p"] == pytest.approx(2 / 1001)  # never: what was measured is a sample, too
    assert paired_difference(two, one)["difference"] == pytest.approx(-found["difference"])
    assert paired_difference(one, one) == {"difference": 0.0, "interval": [0.0, 0.0], "p": 1.0}


def test_mcnemar_is_the_binomial_test(two_models):
    labels, worse, better = two_models
    found = mcnemar(worse == labels, better == labels)
    expected = binomtest(found["only_one"], found["only_one"] + found["only_two"]).pvalue
    assert found["p"] == pytest.approx(expected)
    assert mcnemar(np.array([True]), np.array([True])) == {"only_one": 0, "only_two": 0, "p": 1.0}
    many = np.arange(40_000) < 19_800
    assert mcnemar(many, ~many)["p"] == pytest.approx(binomtest(19_800, 40_000).pvalue)

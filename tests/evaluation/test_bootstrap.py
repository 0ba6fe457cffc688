import numpy as np
import pytest
from scipy.stats import binomtest

from tgdi_hf.evaluation.bootstrap import bootstrap, percentile_interval
from tgdi_hf.evaluation.calibration import calibration
from tgdi_hf.evaluation.comparison import mcnemar, paired_difference
from tgdi_hf.evaluation.relation_scores import relation_scores
from tgdi_hf.evaluation.score_counts import micro_scores, row_counts, sum_by_group


@pytest.fixture
def answers():
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 300)
    better = np.where(generator.random(300) < 0.8, labels, generator.integers(0, 4, 300))
    worse = np.where(generator.random(300) < 0.5, labels, generator.integers(0, 4, 300))
    return labels, worse, better


def test_scores_are_those_of_the_metric(answers):
    labels, predictions, _ = answers
    found = micro_scores(row_counts(predictions, labels, 0).sum(0))
    expected = relation_scores(predictions, labels, ["None", "a", "b", "c"])
    assert found.tolist() == pytest.approx([expected[name] for name in ("accuracy", "precision", "recall", "f1")])
    assert micro_scores(np.zeros(5)).tolist() == [0, 0, 0, 0]


def test_the_bootstrap_spreads_as_theory_says(answers):
    labels, predictions, _ = answers
    counts = row_counts(predictions, labels, 0)
    samples = bootstrap(counts, rounds=2000, seed=1)
    accuracy = (predictions == labels).mean()
    assert samples[:, 0].mean() == pytest.approx(accuracy, abs=0.003)
    assert samples[:, 0].std() == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 300), rel=0.08)
    low, high = percentile_interval(samples[:, 3])
    assert low < micro_scores(counts.sum(0))[3] < high
    assert np.array_equal(samples, bootstrap(counts, rounds=2000, seed=1))
    assert not np.array_equal(samples, bootstrap(counts, rounds=2000, seed=2))


def test_rows_of_one_post_are_drawn_together(answers):
    counts = row_counts(answers[1], answers[0], 0)
    posts = [f"post {i % 100}" for i in range(300)]
    summed = sum_by_group(counts, posts)
    assert summed.shape == (100, 5) and (summed[:, 0] == 3).all()
    place = sorted(set(posts)).index("post 7")
    assert summed[place].tolist() == (counts[7] + counts[107] + counts[207]).tolist()
    assert sum_by_group(counts, None) is counts
    # Three copies of a row are one sample: the spread of a third of the rows.
    copies = bootstrap(sum_by_group(np.concatenate([counts[:100]] * 3), np.tile(np.arange(100), 3)), rounds=1000)
    assert copies[:, 0].std() == pytest.approx(bootstrap(counts[:100], rounds=1000)[:, 0].std(), rel=1e-9)


def test_many_rows_are_drawn_in_parts(answers, monkeypatch):
    counts = row_counts(answers[1], answers[0], 0)
    expected = bootstrap(counts, rounds=50)
    monkeypatch.setattr("tgdi_hf.evaluation.bootstrap.WEIGHTS_AT_A_TIME", 700)  # two samples
    assert np.allclose(bootstrap(counts, rounds=50), expected)


def test_a_better_model_is_seen_to_be_better(answers):
    labels, worse, better = answers
    one, two = row_counts(worse, labels, 0), row_counts(better, labels, 0)
    found = paired_difference(one, two)
    assert found["difference"] == pytest.approx(micro_scores(two.sum(0))[3] - micro_scores(one.sum(0))[3])
    assert 0 < found["interval"][0] < found["difference"] < found["interval"][1]
    assert found["p"] == pytest.approx(2 / 1001)  # never: what was measured is a sample, too
    assert paired_difference(two, one)["difference"] == pytest.approx(-found["difference"])
    assert paired_difference(one, one) == {"difference": 0.0, "interval": [0.0, 0.0], "p": 1.0}


def test_mcnemar_is_the_binomial_test(answers):
    labels, worse, better = answers
    found = mcnemar(worse == labels, better == labels)
    expected = binomtest(found["only_one"], found["only_one"] + found["only_two"]).pvalue
    assert found["p"] == pytest.approx(expected)
    assert mcnemar(np.array([True]), np.array([True])) == {"only_one": 0, "only_two": 0, "p": 1.0}
    many = np.arange(40_000) < 19_800
    assert mcnemar(many, ~many)["p"] == pytest.approx(binomtest(19_800, 40_000).pvalue)


def test_calibration_by_hand():
    # Two of three right at 0.9, none of one at 0.5: gaps 0.9 - 2/3 and 0.5.
    found = calibration(np.array([0.9, 0.9, 0.9, 0.5]), np.array([True, True, False, False]), num_bins=10)
    assert found["ece"] == pytest.approx((3 * (0.9 - 2 / 3) + 0.5) / 4)
    assert [one["rows"] for one in found["bins"]] == [1, 3]
    assert calibration(np.array([1.0]), np.array([True]))["ece"] == 0

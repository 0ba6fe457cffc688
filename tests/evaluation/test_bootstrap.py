import numpy as np
import pytest

from tgdi_hf.evaluation.bootstrap import bootstrap, percentile_interval
from tgdi_hf.evaluation.score_counts import micro_scores, row_counts, sum_by_group


def test_the_spread_of_the_bootstrap_agrees_with_theory(two_models):
    labels, predictions, _ = two_models
    counts = row_counts(predictions, labels, 0)
    samples = bootstrap(counts, rounds=2000, seed=1)
    accuracy = (predictions == labels).mean()
    assert samples[:, 0].mean() == pytest.approx(accuracy, abs=0.003)
    assert samples[:, 0].std() == pytest.approx(np.sqrt(accuracy * (1 - accuracy) / 300), rel=0.08)
    low, high = percentile_interval(samples[:, 3])
    assert low < micro_scores(counts.sum(0))[3] < high
    assert np.array_equal(samples, bootstrap(counts, rounds=2000, seed=1))
    assert not np.array_equal(samples, bootstrap(counts, rounds=2000, seed=2))


def test_rows_of_one_post_are_drawn_together(two_models):
    counts = row_counts(two_models[1], two_models[0], 0)
    posts = [f"post {i % 100}" for i in range(300)]
    summed = sum_by_group(counts, posts)
    assert summed.shape == (100, 5) and (summed[:, 0] == 3).all()
    place = sorted(set(posts)).index("post 7")
    assert summed[place].tolist() == (counts[7] + counts[107] + counts[207]).tolist()
    assert sum_by_group(counts, None) is counts
    # Three copies of a row are one sample: the spread of a third of the rows.
    copies = bootstrap(sum_by_group(np.concatenate([counts[:100]] * 3), np.tile(np.arange(100), 3)), rounds=1000)
    assert copies[:, 0].std() == pytest.approx(bootstrap(counts[:100], rounds=1000)[:, 0].std(), rel=1e-9)


def test_chunks_of_samples_give_the_same_result(two_models, monkeypatch):
    counts = row_counts(two_models[1], two_models[0], 0)
    expected = bootstrap(counts, rounds=50)
    monkeypatch.setattr("tgdi_hf.evaluation.bootstrap.WEIGHTS_AT_A_TIME", 700)  # two samples
    assert np.allclose(bootstrap(counts, rounds=50), expected)

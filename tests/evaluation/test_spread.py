import pytest

from tgdi_hf.evaluation.spread import deviation, mean_and_deviation


def test_mean_and_deviation_in_percent():
    # 50 and 60 deviate by 5 each from 55: the square root of 25 + 25
    assert mean_and_deviation([0.5, 0.6]) == "55.00 ± 7.07"
    assert mean_and_deviation([0.5, 0.6], digits=1) == "55.0 ± 7.1"


def test_single_value_has_no_deviation():
    assert mean_and_deviation([]) == ""
    assert mean_and_deviation([0.5]) == "50.00"
    assert deviation([0.5]) == 0
    assert deviation([1.0, 3.0]) == pytest.approx(2**0.5)

import numpy as np
import pytest

from tgdi_hf.modeling.decision_thresholds import checked_thresholds

from .conftest import tiny_config


def test_a_threshold_per_label():
    assert checked_thresholds(None, 2, True) == [0.5, 0.5]
    assert checked_thresholds([0.25, 0.75], 2, True) == [0.25, 0.75]
    assert checked_thresholds(None, 2, False) is None


@pytest.mark.parametrize(
    ("thresholds", "multi_label"),
    [
        ([0.5], True), ([0.5] * 3, True), ([], True), ([0.0, 0.5], True), ([0.5, 1.0], True), (0.5, True),
        ([0.5, float("nan")], True), (["0.5", 0.5], True), ([0.5, 0.5], False),
    ],
)  # fmt: skip
def test_other_thresholds_are_refused(thresholds, multi_label):
    with pytest.raises(ValueError, match="`decision_thresholds` is .* each of the 2 labels, and `problem_type="):
        checked_thresholds(thresholds, 2, multi_label)


def test_of_an_array_a_list_can_be_made():
    with pytest.raises(ValueError, match=r"`\.tolist\(\)`"):
        checked_thresholds(np.array([0.5, 0.5]), 2, True)


@pytest.mark.parametrize("problem_type", [None, "multi_label_classification"])
def test_thresholds_that_are_set_afterwards_are_checked_when_they_are_used(problem_type):
    config = tiny_config(problem_type=problem_type)
    config.decision_thresholds = [0.5]
    with pytest.raises(ValueError, match=r"`decision_thresholds` is \[0.5\]"):
        config.thresholds  # noqa: B018

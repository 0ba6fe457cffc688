import numpy as np
import pytest

from tgdi_hf.modeling.decision_thresholds import checked_thresholds

from .conftest import tiny_config


def test_thresholds_default_to_one_half_per_label():
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
def test_invalid_thresholds_are_rejected(thresholds, multi_label):
    with pytest.raises(ValueError, match="`decision_thresholds` is .* each of the 2 labels, and `problem_type="):
        checked_thresholds(thresholds, 2, multi_label)


def test_arrays_are_rejected_with_a_hint():
    with pytest.raises(ValueError, match=r"`\.tolist\(\)`"):
        checked_thresholds(np.array([0.5, 0.5]), 2, True)


@pytest.mark.parametrize("problem_type", [None, "multi_label_classification"])
def test_changed_thresholds_are_validated_on_access(problem_type):
    config = tiny_config(problem_type=problem_type)
    config.decision_thresholds = [0.5]
    with pytest.raises(ValueError, match=r"`decision_thresholds` is \[0.5\]"):
        config.thresholds  # noqa: B018

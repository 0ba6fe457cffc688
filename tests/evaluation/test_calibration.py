import numpy as np
import pytest

from tgdi_hf.evaluation.calibration import calibration


def test_calibration_worked_by_hand():
    # Two of three right at 0.9, none of one at 0.5: gaps 0.9 - 2/3 and 0.5.
    found = calibration(np.array([0.9, 0.9, 0.9, 0.5]), np.array([True, True, False, False]), num_bins=10)
    assert found["ece"] == pytest.approx((3 * (0.9 - 2 / 3) + 0.5) / 4)
    assert [one["rows"] for one in found["bins"]] == [1, 3]
    assert calibration(np.array([1.0]), np.array([True]))["ece"] == 0

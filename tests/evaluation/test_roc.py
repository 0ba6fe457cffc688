import math

import numpy as np

from tgdi_hf.evaluation.roc import area_under_roc, ranks_of, weighted_area


def test_area_is_the_share_of_ordered_pairs():
    scores, target = np.array([0.9, 0.5, 0.5, 0.1]), np.array([True, True, False, False])
    # 0.9 beats 0.5 and 0.1; 0.5 ties with 0.5 and beats 0.1.
    assert area_under_roc(scores, target) == 3.5 / 4
    assert area_under_roc(scores, 1 - target) == 0.5 / 4


def test_a_weight_counts_as_that_many_rows():
    scores, target = np.array([0.9, 0.2, 0.5]), np.array([1, 1, 0])
    assert weighted_area(ranks_of(scores), target, np.array([3, 1, 2])) == 3 / 4
    assert area_under_roc(np.repeat(scores, [3, 1, 2]), np.repeat(target, [3, 1, 2])) == 3 / 4


def test_area_of_one_label_is_undefined():
    assert math.isnan(area_under_roc(np.array([0.1, 0.2]), np.array([1, 1])))

import numpy as np
import pytest

from tgdi_hf.evaluation.relation_scores import multi_label_scores
from tgdi_hf.evaluation.thresholds import best_thresholds
from tgdi_hf.modeling.decision_thresholds import checked_thresholds


def test_thresholds_maximise_f1():
    probabilities = np.array([[0.9, 0.2, 0.4], [0.8, 0.2, 0.3], [0.3, 0.1, 0.2], [0.1, 0.6, 0.1]])
    true = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
    # a: taking 3 finds both of 2: F1 4/5, above 2/3 for one. b: 0.2 twice, F1 4/5. c: no row.
    assert best_thresholds(probabilities, true) == pytest.approx([0.2, 0.15, 0.5])
    chosen = multi_label_scores(probabilities >= best_thresholds(probabilities, true), true, ("a", "b", "c"))
    assert chosen["f1"] >= multi_label_scores(probabilities >= 0.5, true, ("a", "b", "c"))["f1"]


@pytest.mark.parametrize(
    ("scores", "true", "expected"),
    [
        # All are taken, also the one at 0: no threshold above 0 takes that.
        ([0.0, 0.6], [1, 1], 0.3),
        ([0.0, 0.0], [1, 0], 0.5),
        ([1.0, 1.0], [1, 1], 0.5),
        ([5e-324, 0.0], [1, 0], 5e-324),
        # 1 and the number below it can't be told apart, as 1 is no threshold.
        ([1.0, float(np.nextafter(1, 0))], [1, 0], float(np.nextafter(1, 0)) / 2),
    ],
)
def test_thresholds_lie_strictly_between_0_and_1(scores, true, expected):
    (threshold,) = best_thresholds([[score] for score in scores], [[one] for one in true])
    assert 0 < threshold < 1 and threshold == pytest.approx(expected)
    assert checked_thresholds([threshold], 1, True) == [threshold]


@pytest.mark.parametrize(
    ("probabilities", "references", "message"),
    [
        ([[1.5, 0.2]], [[1, 0]], "has 1.5 in row 0, column 0; .* Convert logits to probabilities with the sigmoid"),
        ([[0.5, -0.2]], [[1, 0]], "has -0.2 in row 0, column 1"),
        ([[0.5, float("nan")]], [[1, 0]], "has nan in row 0, column 1"),
        ([[0.5, 0.2], [0.1, 0.1]], [[1], [0]], r"shape \(2, 2\) and `references` \(2, 1\)"),
        ([[0.5]] * 3, [[1]] * 2, r"shape \(3, 1\) and `references` \(2, 1\)"),
        ([0.5, 0.2], [1, 0], r"expected \(rows, L\)"),
        ([[0.5, 0.2], [0.1]], [[1, 0], [1, 0]], "`probabilities` is not an array of numbers"),
        ([[0.5, 0.2]], [[1, -100]], "`references` has -100.0 in row 0, column 1"),
        ([["a", "b"]], [[1, 0]], "`probabilities` is not an array of numbers"),
    ],
)
def test_anything_but_probabilities_and_flags_is_refused(probabilities, references, message):
    with pytest.raises(ValueError, match=message):
        best_thresholds(probabilities, references)

from types import SimpleNamespace

import pytest
import torch

from tgdi_hf.data.entity_order import swapped_labels
from tgdi_hf.processing.entity_order import (
    MNRE_TAIL_FIRST_BIAS,
    is_order_unknown,
    joint_scores,
    symmetric_relations,
    tail_first_bias,
)

NAMES = ("None", "/per/org/member_of", "/per/per/peer")
ONE_WAY, PEER_BOTH_WAYS = (False, False, False), (False, False, True)


def test_odds_of_both_orders_are_normalized_together():
    # Odds against None: forward 1 and 1/2; backward 6 and 2, multiplied by exp(-log 4): 3/2 and 1/2. Sum: 1 + 3.5.
    forward, backward = torch.tensor([[0.4, 0.4, 0.2]]), torch.tensor([[0.1, 0.6, 0.2]])
    bias = torch.tensor(4.0).log().item()
    head_first, tail_first = joint_scores(forward, backward, NAMES, bias, ONE_WAY)
    assert head_first[0].tolist() == pytest.approx([2 / 9, 2 / 9, 1 / 9])
    assert tail_first[0].tolist() == pytest.approx([2 / 9, 3 / 9, 1 / 9])
    # If "peer" is symmetric, it counts once, with the odds (1/2 + 2/4) / (1 + 1/4) = 4/5 in both directions. Sum:
    # 1 + 1 + 3/2 + 4/5 = 43/10.
    head_first, tail_first = joint_scores(forward, backward, NAMES, bias, PEER_BOTH_WAYS)
    assert head_first[0].tolist() == pytest.approx([10 / 43, 10 / 43, 8 / 43])
    assert tail_first[0].tolist() == pytest.approx([10 / 43, 15 / 43, 8 / 43])
    # Without bias, both orders have the same weight: (1/2 + 2) / 2. Sum: 1 + 1 + 6 + 5/4.
    head_first, tail_first = joint_scores(forward, backward, NAMES, 0, PEER_BOTH_WAYS)
    assert head_first[0].tolist() == pytest.approx([4 / 37, 4 / 37, 5 / 37])
    assert head_first[0, 2] == tail_first[0, 2]


def test_probabilities_sum_to_one_at_extreme_scores():
    forward, backward = torch.tensor([[1.0, 0, 0], [0, 1, 0]]), torch.tensor([[0.0, 0, 1], [0, 0.5, 0.5]])
    for bias in (0, MNRE_TAIL_FIRST_BIAS):
        for symmetric, twice in ((ONE_WAY, [1, 2]), (PEER_BOTH_WAYS, [1])):
            head_first, tail_first = joint_scores(forward, backward, NAMES, bias, symmetric)
            assert (head_first.sum(1) + tail_first[:, twice].sum(1)).tolist() == pytest.approx([1, 1])
            assert torch.isfinite(head_first).all()


def test_a_discounted_order_does_not_lower_the_scores_of_the_other():
    forward, backward = torch.tensor([[0.4, 0.0, 0.6]]), torch.tensor([[0.9, 0.0, 0.1]])
    for symmetric in (ONE_WAY, PEER_BOTH_WAYS):
        head_first, _ = joint_scores(forward, backward, NAMES, MNRE_TAIL_FIRST_BIAS, symmetric)
        assert head_first[0].tolist() == pytest.approx([0.4, 0, 0.6], abs=0.003)


def test_without_a_negative_label_both_orders_are_normalized_together():
    forward, backward = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    head_first, tail_first = joint_scores(forward, backward, ("a", "b"), 5.7, (False, False))
    assert head_first[0].tolist() == pytest.approx([0.25, 0.25])
    assert tail_first[0].tolist() == pytest.approx([0.5, 0.0])
    head_first, tail_first = joint_scores(forward, backward, ("a", "b"), 5.7, (False, True))
    # The mean of 0.5 and 0 counts once, next to 0.5 and 1. Sum: 1.75.
    assert head_first[0].tolist() == pytest.approx([2 / 7, 1 / 7])
    assert tail_first[0].tolist() == pytest.approx([4 / 7, 1 / 7])


def test_a_larger_bias_finds_fewer_relations():
    torch.manual_seed(0)
    forward, backward = torch.rand(2, 50, 3).softmax(-1)
    for symmetric in (ONE_WAY, PEER_BOTH_WAYS):
        biases = (0, 1, MNRE_TAIL_FIRST_BIAS)
        none = [joint_scores(forward, backward, NAMES, bias, symmetric)[0][:, 0] for bias in biases]
        assert (none[0] < none[1]).all() and (none[1] < none[2]).all()


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, [False, False, True, False, False]),  # "/per/org/peer" has different types for head and tail
        (["works with", "peer"], [False, False, True, True, True]),
        ([], [False] * 5),
    ],
)
def test_symmetric_relations(chosen, expected):
    names = (*NAMES, "/per/org/peer", "works with")
    assert symmetric_relations(names, chosen) == expected
    if chosen is None:
        assert symmetric_relations(("peer",), None) == [False]  # a label not spelled like MNRE's
    # Training and prediction use the same symmetric relations.
    trained = names[: 4 if chosen is None else None]
    swapped = swapped_labels(trained, chosen)
    assert [label == i != 0 for i, label in enumerate(swapped)] == expected[: len(trained)]


def test_the_default_bias_is_the_one_counted_in_training():
    counted = SimpleNamespace(direction_balanced=False, tail_first_bias=1.5)
    uncounted = SimpleNamespace(direction_balanced=False, tail_first_bias=None)
    balanced = SimpleNamespace(direction_balanced=True, tail_first_bias=1.5)  # of rows it is no longer trained on
    assert [tail_first_bias("auto", config) for config in (counted, uncounted, balanced)] == [1.5, 0, 0]
    assert [is_order_unknown(config) for config in (counted, uncounted, balanced)] == [False, True, False]
    for config in (counted, uncounted, balanced):
        assert tail_first_bias("independent", config) == 0
        assert tail_first_bias("mnre", config) == pytest.approx(5.583, abs=1e-3)
        assert tail_first_bias(2, config) == 2.0


@pytest.mark.parametrize("pairs", ["both", None, True, float("nan"), [1]])
def test_unknown_rules_are_rejected(pairs):
    with pytest.raises(ValueError, match="`pairs` is .*; expected 'auto'"):
        tail_first_bias(pairs, SimpleNamespace())


def test_an_integer_beyond_all_floats_is_rejected():
    with pytest.raises(ValueError, match="`pairs` is too large; expected a finite number"):
        tail_first_bias(-(10**400), SimpleNamespace())

from types import SimpleNamespace

import pytest
import torch

from tgdi_hf.data.entity_order import swapped_labels
from tgdi_hf.processing.entity_order import MNRE_TAIL_FIRST_BIAS, joint_scores, symmetric_relations, tail_first_bias

NAMES = ("None", "/per/org/member_of", "/per/per/peer")
ONE_WAY, PEER_BOTH_WAYS = (False, False, False), (False, False, True)


def test_odds_stand_beside_each_other():
    # Odds against None: forward 1 and 1/2, backward 6 and 2, which exp(-log 4) makes 3/2 and 1/2. Together 1 + 3.5.
    forward, backward = torch.tensor([[0.4, 0.4, 0.2]]), torch.tensor([[0.1, 0.6, 0.2]])
    bias = torch.tensor(4.0).log().item()
    one, two = joint_scores(forward, backward, NAMES, bias, ONE_WAY)
    assert one[0].tolist() == pytest.approx([2 / 9, 2 / 9, 1 / 9])
    assert two[0].tolist() == pytest.approx([2 / 9, 3 / 9, 1 / 9])
    # Where peers are so both ways, that is one relation with the odds (1/2 + 2/4) / (1 + 1/4) = 4/5, in both directions
    # alike. Together 1 + 1 + 3/2 + 4/5 = 43/10.
    one, two = joint_scores(forward, backward, NAMES, bias, PEER_BOTH_WAYS)
    assert one[0].tolist() == pytest.approx([10 / 43, 10 / 43, 8 / 43])
    assert two[0].tolist() == pytest.approx([10 / 43, 15 / 43, 8 / 43])
    # Without bias both orders count alike: (1/2 + 2) / 2, together 1 + 1 + 6 + 5/4.
    one, two = joint_scores(forward, backward, NAMES, 0, PEER_BOTH_WAYS)
    assert one[0].tolist() == pytest.approx([4 / 37, 4 / 37, 5 / 37])
    assert one[0, 2] == two[0, 2]


def test_all_probabilities_make_one_even_at_the_ends():
    forward, backward = torch.tensor([[1.0, 0, 0], [0, 1, 0]]), torch.tensor([[0.0, 0, 1], [0, 0.5, 0.5]])
    for bias in (0, MNRE_TAIL_FIRST_BIAS):
        for symmetric, twice in ((ONE_WAY, [1, 2]), (PEER_BOTH_WAYS, [1])):
            one, two = joint_scores(forward, backward, NAMES, bias, symmetric)
            assert (one.sum(1) + two[:, twice].sum(1)).tolist() == pytest.approx([1, 1])
            assert torch.isfinite(one).all()


def test_an_order_that_is_not_trusted_takes_nothing_from_the_other():
    forward, backward = torch.tensor([[0.4, 0.0, 0.6]]), torch.tensor([[0.9, 0.0, 0.1]])
    for symmetric in (ONE_WAY, PEER_BOTH_WAYS):
        one, _ = joint_scores(forward, backward, NAMES, MNRE_TAIL_FIRST_BIAS, symmetric)
        assert one[0].tolist() == pytest.approx([0.4, 0, 0.6], abs=0.003)


def test_without_none_the_orders_share():
    forward, backward = torch.tensor([[0.5, 0.5]]), torch.tensor([[1.0, 0.0]])
    one, two = joint_scores(forward, backward, ("a", "b"), 5.7, (False, False))
    assert one[0].tolist() == pytest.approx([0.25, 0.25])
    assert two[0].tolist() == pytest.approx([0.5, 0.0])
    one, two = joint_scores(forward, backward, ("a", "b"), 5.7, (False, True))
    # The mean of 0.5 and 0 once, beside 0.5 and 1: together 1.75.
    assert one[0].tolist() == pytest.approx([2 / 7, 1 / 7])
    assert two[0].tolist() == pytest.approx([4 / 7, 1 / 7])


def test_a_bias_only_ever_takes_relations_away():
    torch.manual_seed(0)
    forward, backward = torch.rand(2, 50, 3).softmax(-1)
    for symmetric in (ONE_WAY, PEER_BOTH_WAYS):
        biases = (0, 1, MNRE_TAIL_FIRST_BIAS)
        none = [joint_scores(forward, backward, NAMES, bias, symmetric)[0][:, 0] for bias in biases]
        assert (none[0] < none[1]).all() and (none[1] < none[2]).all()


@pytest.mark.parametrize(
    ("chosen", "expected"),
    [
        (None, [False, False, True, False, False]),  # "/per/org/peer" would have the types the wrong way round
        (["works with", "peer"], [False, False, True, True, True]),
        ([], [False] * 5),
    ],
)
def test_which_relations_hold_both_ways(chosen, expected):
    names = (*NAMES, "/per/org/peer", "works with")
    assert symmetric_relations(names, chosen) == expected
    if chosen is None:
        assert symmetric_relations(("peer",), None) == [False]  # who knows what they call a peer
    # Training and prediction take the same ones for symmetric.
    trained = names[: 4 if chosen is None else None]
    swapped = swapped_labels(trained, chosen)
    assert [label == i != 0 for i, label in enumerate(swapped)] == expected[: len(trained)]


def test_the_rule_follows_the_training_of_the_model():
    balanced, published = SimpleNamespace(direction_balanced=True), SimpleNamespace(direction_balanced=False)
    assert tail_first_bias("auto", balanced) == tail_first_bias("independent", published) == 0
    assert tail_first_bias("auto", published) == tail_first_bias("mnre", balanced) == pytest.approx(5.583, abs=1e-3)
    assert tail_first_bias(2, published) == 2.0
    # What MNRE's rows say of the order says nothing of other data.
    assert tail_first_bias("auto", published, NAMES[1:]) == pytest.approx(5.583, abs=1e-3)
    assert tail_first_bias("auto", published, [*NAMES[1:], "works_for"]) == 0
    assert tail_first_bias("mnre", published, ["works_for"]) == pytest.approx(5.583, abs=1e-3)


@pytest.mark.parametrize("pairs", ["both", None, True, float("nan"), [1]])
def test_another_rule_is_refused(pairs):
    with pytest.raises(ValueError, match="`pairs` is .*; expected 'auto'"):
        tail_first_bias(pairs, SimpleNamespace())

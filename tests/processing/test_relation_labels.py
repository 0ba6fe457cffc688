import pytest
import torch

from tgdi_hf.processing.relation_labels import RelationLabels

NAMES = ("no_relation", "works_for", "peer")
ONE = RelationLabels(NAMES, [False, False, True], "no_relation")
SEVERAL = RelationLabels(NAMES[1:], [False, True], thresholds=[0.5, 0.3])


@pytest.mark.parametrize(
    ("scores", "top_k", "drop_none", "expected"),
    [
        ([0.5, 0.2, 0.3], None, False, [0]),
        ([0.5, 0.2, 0.3], 2, False, [0, 2]),
        ([0.5, 0.2, 0.3], 2, True, []),
        ([0.3, 0.2, 0.5], 3, True, [2, 1]),
    ],
)
def test_of_mutually_exclusive_labels_the_best_are_returned(scores, top_k, drop_none, expected):
    assert ONE.best(scores, top_k, drop_none) == expected


def test_without_a_negative_label_nothing_is_dropped():
    assert RelationLabels(NAMES, [False] * 3).best([0.5, 0.2, 0.3], None, drop_none=True) == [0]


@pytest.mark.parametrize(
    ("scores", "top_k", "expected"),
    [([0.9, 0.4], None, [0, 1]), ([0.5, 0.29], None, [0]), ([0.4, 0.2], None, []), ([0.6, 0.9], 1, [1])],
)
def test_a_multi_label_pair_has_all_labels_that_reach_their_threshold(scores, top_k, expected):
    assert SEVERAL.best(scores, top_k, drop_none=False) == expected


def test_multi_label_scores_of_both_orders_are_merged_for_symmetric_relations():
    # Works for: each order by itself. Peer holds both ways: the mean, once, in the order of the text.
    forward = torch.tensor([[0.9, 0.2], [0.1, 0.1], [0.1, 0.5]])
    backward = torch.tensor([[0.6, 0.6], [0.7, 0.1], [0.2, 0.2]])
    scores, places = SEVERAL.of_both_orders(forward, backward, None)
    assert places == [0, 1, 3, 4]
    assert scores.flatten().tolist() == pytest.approx([0.9, 0.4, 0.6, 0.0, 0.7, 0.0, 0.1, 0.35])
    _, places = SEVERAL.of_both_orders(torch.zeros(1, 2), torch.zeros(1, 2), None)
    assert places == [0]  # a pair without relation has one answer


def test_probabilities_are_sigmoids_of_multi_label_models_and_softmax_otherwise():
    logits = torch.tensor([[0.0, 0.0]])
    assert SEVERAL.probabilities(logits).tolist() == [[0.5, 0.5]]
    assert ONE.probabilities(torch.zeros(1, 3)).sum().item() == pytest.approx(1)

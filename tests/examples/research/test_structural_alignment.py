import math

import numpy as np
import pytest

from examples.research.baselines.dependency_trees import DependencyTree, chain_tree
from examples.research.baselines.structural_alignment import box_edges, node_features, structural_likeness, tree_edges


def test_a_tree_joins_words_and_their_heads():
    # the (head: cat) cat (head: sat) sat (root)
    assert tree_edges((1, 2, 2)).astype(int).tolist() == [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    assert tree_edges(()).shape == (0, 0)


@pytest.mark.parametrize(
    ("other", "joined"),
    [
        pytest.param((5, 5, 20, 20), True, id="overlap"),
        pytest.param((2, 2, 4, 4), True, id="contains"),
        pytest.param((30, 4, 40, 12), True, id="left of"),
        pytest.param((3, 30, 12, 40), True, id="above"),
        pytest.param((30, 30, 40, 40), False, id="diagonal"),
        pytest.param((30, 10, 40, 20), False, id="touching rows only"),
        pytest.param(None, False, id="an image of its own"),
    ],
)
def test_boxes_are_joined_by_their_geometry(other, joined):
    expected = [[False, joined], [joined, False]]
    assert box_edges([(0, 0, 10, 10), other]).tolist() == expected
    assert box_edges([other, (0, 0, 10, 10)]).tolist() == expected


def test_degree_histograms_of_a_hand_worked_graph():
    # A star with four leaves, one of which has a further neighbour; and a node without edges.
    edges = [(0, 1), (0, 2), (0, 3), (0, 4), (4, 5)]
    adjacency = np.zeros((7, 7), dtype=bool)
    for a, b in edges:
        adjacency[a, b] = adjacency[b, a] = True
    # Degrees 4, 1, 1, 1, 2, 1, 0, so bins 2, 0, 0, 0, 1, 0 and none.
    expected = [
        [0 + 0.01 * 3 + 0.0001 * 1, 0.01 * 1, 1],
        *[[1 + 0.0001 * 2, 0.0001 * 1, 0.01 * 1]] * 3,
        [0.01 * 1 + 0.0001 * 3, 1, 0.01 * 1],
        [1, 0.01 * 1, 0.0001 * 1],
        [0, 0, 0],
    ]
    np.testing.assert_allclose(node_features(adjacency), expected)


def test_likeness_of_a_hand_worked_post():
    # f is (1.0001, 0.01), (0.02, 1), (1.0001, 0.01) in the chain, (1.01, 0) of two joined boxes, (0, 0) of the third.
    found = structural_likeness(chain_tree("a b c"), [(0, 0, 4, 4), (2, 2, 6, 6), (9, 9, 12, 12)])
    end, middle = math.exp(-math.hypot(0.0099, 0.01)), math.exp(-math.hypot(0.99, 1))
    alone = [math.exp(-math.hypot(1.0001, 0.01)), math.exp(-math.hypot(0.02, 1)), math.exp(-math.hypot(1.0001, 0.01))]
    np.testing.assert_allclose(found, [[end, middle, end], [end, middle, end], alone])
    assert structural_likeness(DependencyTree((), ()), []).shape == (0, 0)

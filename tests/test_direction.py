import numpy as np
import pytest

from tgdi_hf.direction import BothOrders, as_listed, is_tail_first, listed_order_weights

NAMES = ["None", "/per/per/peer", "/per/org/member_of", "works with"]
ROWS = [{"head": (0, 1), "tail": (2, 3), "label": label, "id": label} for label in range(4)]


def test_every_row_comes_both_ways():
    both = BothOrders(ROWS, NAMES)
    assert len(both) == 8
    assert [both[i] for i in range(4)] == ROWS
    swapped = [both[i] for i in range(4, 8)]
    assert all(row["head"] == (2, 3) and row["tail"] == (0, 1) for row in swapped)
    assert [row["id"] for row in swapped] == [0, 1, 2, 3]
    assert [row["label"] for row in swapped] == [0, 1, 0, 0]  # a peer is one both ways
    assert BothOrders(ROWS, NAMES, symmetric=["works with"])[7]["label"] == 3
    assert ROWS[0]["head"] == (0, 1)  # the rows themselves stay as they are


def test_without_none_there_is_no_label_for_the_swapped():
    with pytest.raises(ValueError, match="No relation is called 'None'.*found a, b"):
        BothOrders(ROWS, ["a", "b"])


def test_weights_put_back_what_the_listed_order_says():
    names = ["None", "/per/per/peer", "/per/org/member_of"]
    first, last = [0, 1], [2, 3]
    rows = [  # head, tail, label
        (first, last, 0), (first, last, 0), (first, last, 0),
        (first, last, 1), (last, first, 1), (last, first, 1),
        (first, last, 2), (last, first, 2), (last, first, 2), (last, first, 2),
    ]  # fmt: skip
    dataset = {name: [row[i] for row in rows] for i, name in enumerate(("head", "tail", "label"))}
    assert is_tail_first(dataset).tolist() == [0, 0, 0, 0, 1, 1, 0, 1, 1, 1]
    # Head first: 3 None are listed; in both orders 3 more come of the tail-first members. Tail first: of the 3 None and
    # of 1 member, all swapped. A peer is one both ways: 1 + 2 on either side. No swapped pair is a member.
    expected = [[3 / 6, 1 / 3, 1 / 1], [0 / 4, 2 / 3, 3 / 3]]
    np.testing.assert_allclose(listed_order_weights(dataset, names), expected)


def test_an_order_that_a_relation_never_has_changes_nothing():
    dataset = {"head": [[0, 1]], "tail": [[2, 3]], "label": [0]}
    assert listed_order_weights(dataset, ["None", "a"]).tolist() == [[1, 1], [0, 1]]


def test_probabilities_are_weighed_by_the_order_of_each_row():
    rows = {"head": [[0, 1], [2, 3]], "tail": [[2, 3], [0, 1]]}
    found = as_listed(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([[1.0, 1.0], [0.25, 1.0]]), rows)
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.2, 0.8]])

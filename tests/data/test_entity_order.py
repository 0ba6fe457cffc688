import numpy as np
import pytest
from datasets import ClassLabel, Dataset

from tgdi_hf.data.entity_order import (
    apply_order_prior,
    count_inverses,
    is_tail_first,
    listed_order_weights,
    of_both_passes,
    swapped_labels,
    with_both_orders,
    without_inverses,
)

NAMES = ["None", "/per/per/peer", "/per/org/member_of", "/per/per/works_with"]
TEXT = "Ann met Bob"


def dataset_of(rows, names=NAMES, same_post=False):
    """Of heads, tails and labels; each row is a post of its own unless they are the same."""
    texts = [TEXT if same_post else f"{TEXT}, {i}" for i in range(len(rows))]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(("head", "tail", "label"))}
    dataset = Dataset.from_dict({"text": texts, **columns, "id": list(range(len(rows)))})
    return dataset.cast_column("label", ClassLabel(names=names))


def test_every_row_comes_both_ways():
    rows = dataset_of([([0, 1], [2, 3], label) for label in range(4)])
    both = with_both_orders(rows)
    assert both.features == rows.features
    assert [both[i] for i in range(4)] == list(rows)
    swapped = [both[i] for i in range(4, 8)]
    assert all(row["head"] == [2, 3] and row["tail"] == [0, 1] for row in swapped)
    assert [row["id"] for row in swapped] == [0, 1, 2, 3]
    assert [row["label"] for row in swapped] == [0, 1, 0, 0]  # a peer is one both ways
    assert with_both_orders(rows, symmetric=["works_with"])[7]["label"] == 3
    assert [row["label"] for row in with_both_orders(rows, symmetric=[])][4:] == [0, 0, 0, 0]
    assert [row["id"] for row in with_both_orders(rows.select([2, 0]))] == [2, 0, 2, 0]


def test_a_pair_that_is_listed_both_ways_keeps_its_labels():
    rows = dataset_of([([0, 1], [2, 3], 2), ([2, 3], [0, 1], 3), ([0, 1], [1, 2], 2)], same_post=True)
    both = with_both_orders(rows)
    assert [(row["id"], row["head"], row["label"]) for row in both] == [
        (0, [0, 1], 2), (1, [2, 3], 3), (2, [0, 1], 2), (2, [1, 2], 0)
    ]  # fmt: skip


def test_pairs_are_told_by_where_entities_are_not_by_how_they_are_given():
    """Blanks around a span, or a name in the place of a span, make no other pair."""
    both_ways = dataset_of([([0, 3], [8, 11], 2), ([7, 11], [0, 4], 3)], same_post=True)
    assert len(with_both_orders(both_ways)) == 2
    named = dataset_of([("Ann", "Bob", 2), ("[8, 11]", " Ann", 3)], same_post=True)
    assert len(with_both_orders(named)) == 2
    mappings = dataset_of(
        [({"start": 0, "end": 3, "text": "Ann"}, {"start": 8, "end": 11, "text": "Bob"}, 2)] * 2, same_post=True
    )
    assert len(with_both_orders(mappings)) == 4
    assert is_tail_first(named).tolist() == [0, 1]


def test_what_holds_one_way_has_an_inverse():
    swapped = swapped_labels(NAMES, inverses=True)
    assert swapped.tolist() == [0, 1, 4, 5, 2, 3]  # None, the peer, and two with their inverses
    assert swapped[swapped].tolist() == list(range(6))
    assert count_inverses(NAMES) == 2
    assert count_inverses(NAMES, symmetric=[]) == 3
    rows = dataset_of([([0, 1], [2, 3], label) for label in range(4)])
    both = with_both_orders(rows, inverses=True)
    assert both.features["label"].names[4:] == [f"{name} from tail to head" for name in NAMES[2:]]
    assert both.column_names == rows.column_names
    assert [row["label"] for row in both] == [0, 1, 2, 3, 0, 1, 4, 5]
    assert [row["head"] for row in both] == [[0, 1]] * 4 + [[2, 3]] * 4
    same = with_both_orders(rows, symmetric=["peer", "member_of", "works_with"], inverses=True)
    assert same.features == rows.features  # nothing has one


def test_two_passes_say_the_same_of_a_pair_in_either_order():
    swapped = swapped_labels(NAMES[:3], inverses=True)  # None, peer, member, and its inverse
    one, other = np.array([[0.1, 0.2, 0.6, 0.1]]), np.array([[0.2, 0.2, 0.2, 0.4]])
    found = of_both_passes(one, other, swapped)
    np.testing.assert_allclose(found, [[0.15, 0.2, 0.5, 0.15]])
    np.testing.assert_allclose(of_both_passes(other, one, swapped), found[:, swapped])
    np.testing.assert_allclose(without_inverses(found, NAMES[:3]), [[0.3, 0.2, 0.5]])


def test_nothing_is_left_to_swap_where_all_pairs_are_listed_both_ways():
    rows = dataset_of([([0, 1], [2, 3], 2), ([2, 3], [0, 1], 3)], same_post=True)
    for inverses in (False, True):
        both = with_both_orders(rows, inverses=inverses)
        assert list(both) == list(rows)
        assert both.features["label"].num_classes == (6 if inverses else 4)


def test_a_pair_that_is_listed_both_ways_has_an_inverse_too():
    rows = dataset_of([([0, 1], [2, 3], 2), ([2, 3], [0, 1], 0), ([0, 1], [1, 2], 0)], same_post=True)
    assert [row["label"] for row in with_both_orders(rows, inverses=True)] == [2, 4, 0, 0]
    named = dataset_of([([0, 1], [2, 3], 2), ([2, 3], [0, 1], 3)], same_post=True)  # a relation either way
    assert [row["label"] for row in with_both_orders(named, inverses=True)] == [2, 3]
    peers = dataset_of([([0, 1], [2, 3], 1), ([2, 3], [0, 1], 0)], same_post=True)
    assert [row["label"] for row in with_both_orders(peers, inverses=True)] == [1, 0]


def test_who_holds_both_ways_has_to_be_said_of_other_relations():
    names = ["None", "married to", "friend of"]
    with pytest.raises(ValueError, match="'married to' is none of MNRE's.*--symmetric"):
        swapped_labels(names)
    assert swapped_labels(names, ["married to"]).tolist() == [0, 1, 0]
    assert swapped_labels(names, []).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="'maried to', which is no relation; the relations are None, married to"):
        swapped_labels(names, ["maried to"])


def test_what_has_no_both_orders():
    with pytest.raises(ValueError, match="No label is called 'None'.*found a, b.*--negative NAME"):
        swapped_labels(["a", "b"])
    rows = dataset_of([([0, 1], [2, 3], 0)])
    with pytest.raises(ValueError, match="found IterableDataset"):
        with_both_orders(rows.to_iterable_dataset())
    named = rows.remove_columns("head").add_column("head", ["Ann"])
    with pytest.raises(ValueError, match="both are spans or both are names; found .*string.*int64"):
        with_both_orders(named)


@pytest.mark.parametrize(
    ("head", "tail", "tail_first"),
    [((0, 3), (8, 11), 0), ((8, 11), (0, 3), 1), ((0, 3), (0, 7), 0), ((0, 7), (0, 3), 1), ("Bob", "Ann", 1)],
)
def test_order_is_that_of_the_text(head, tail, tail_first):
    spans = [list(one) if isinstance(one, tuple) else one for one in (head, tail)]
    assert is_tail_first(dataset_of([(*spans, 0)])).tolist() == [tail_first]


def test_weights_put_back_what_the_listed_order_says():
    names = ["None", "/per/per/peer", "/per/org/member_of"]
    first, last = [0, 3], [8, 11]
    rows = [  # head, tail, label
        (first, last, 0), (first, last, 0), (first, last, 0),
        (first, last, 1), (last, first, 1), (last, first, 1),
        (first, last, 2), (last, first, 2), (last, first, 2), (last, first, 2),
    ]  # fmt: skip
    dataset = dataset_of(rows, names)
    assert is_tail_first(dataset).tolist() == [0, 0, 0, 0, 1, 1, 0, 1, 1, 1]
    # Head first: 3 None are listed; in both orders 3 more come of the tail-first members. Tail first: of the 3 None and
    # of 1 member, all swapped. A peer is one both ways: 1 + 2 on either side. No swapped pair is a member.
    # (Nobody lists a None with its tail first: half a row stands for that.)
    expected = [[3 / 6, 1 / 3, 1 / 1], [0.5 / 4, 2 / 3, 3 / 3]]
    np.testing.assert_allclose(listed_order_weights(dataset, names), expected)
    # With inverses the swapped members are no None: head first 3 of 3 are listed, tail first none of 3. Of inverses,
    # 3 with the head first and 1 with the tail first, none is.
    expected = [[3 / 3, 1 / 3, 1 / 1, 0.5 / 3], [0.5 / 3, 2 / 3, 3 / 3, 0.5 / 1]]
    np.testing.assert_allclose(listed_order_weights(dataset, names, inverses=True), expected)


def test_all_inverses_have_one_weight():
    first, last = [0, 3], [8, 11]
    rows = [(first, last, 2), (first, last, 2), (first, last, 2), (first, last, 3)]  # of 4 inverses with the tail first
    weights = listed_order_weights(dataset_of(rows), NAMES, inverses=True)
    assert weights[1, 4:].tolist() == [0.5 / 4, 0.5 / 4]
    assert weights[0, 4:].tolist() == [0.5, 0.5]  # none with the head first
    # Listed both ways: as `None`, an inverse is as likely in the list as in both orders.
    both = dataset_of([(first, last, 2), (last, first, 0)], same_post=True)
    assert listed_order_weights(both, NAMES, inverses=True)[1, 4:].tolist() == [1, 1]


def test_an_order_that_a_relation_never_has_changes_nothing():
    names = ["None", "/per/per/a"]
    assert listed_order_weights(dataset_of([([0, 1], [2, 3], 0)], names), names).tolist() == [[1, 1], [0.5, 1]]


def test_probabilities_are_weighed_by_the_order_of_each_row():
    rows = dataset_of([([0, 1], [2, 3], 0), ([2, 3], [0, 1], 0)])
    found = apply_order_prior(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([[1.0, 1.0], [0.25, 1.0]]), rows)
    np.testing.assert_allclose(found, [[0.5, 0.5], [0.2, 0.8]])

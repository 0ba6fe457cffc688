import numpy as np
import pytest
from datasets import ClassLabel, Dataset

from tgdi_hf.data.entity_order import (
    apply_order_prior,
    average_both_orders,
    count_inverses,
    estimate_order_prior,
    estimate_tail_first_bias,
    fold_inverse_probabilities,
    is_tail_first,
    swapped_labels,
    with_both_orders,
)

NAMES = ["None", "/per/per/peer", "/per/org/member_of", "/per/per/works_with"]
TEXT = "Ann met Bob"


def dataset_of(rows, names=NAMES, same_post=False):
    """A dataset of `(head, tail, label)`, with one post per row or a single post."""
    texts = [TEXT if same_post else f"{TEXT}, {i}" for i in range(len(rows))]
    columns = {name: [row[i] for row in rows] for i, name in enumerate(("head", "tail", "label"))}
    dataset = Dataset.from_dict({"text": texts, **columns, "id": list(range(len(rows)))})
    return dataset.cast_column("label", ClassLabel(names=names))


def test_every_row_is_followed_by_its_swapped_pair():
    rows = dataset_of([([0, 1], [2, 3], label) for label in range(4)])
    both = with_both_orders(rows)
    assert both.features == rows.features
    assert [both[i] for i in range(4)] == list(rows)
    swapped = [both[i] for i in range(4, 8)]
    assert all(row["head"] == [2, 3] and row["tail"] == [0, 1] for row in swapped)
    assert [row["id"] for row in swapped] == [0, 1, 2, 3]
    assert [row["label"] for row in swapped] == [0, 1, 0, 0]  # `peer` is symmetric
    assert with_both_orders(rows, symmetric=["works_with"])[7]["label"] == 3
    assert [row["label"] for row in with_both_orders(rows, symmetric=[])][4:] == [0, 0, 0, 0]
    assert [row["id"] for row in with_both_orders(rows.select([2, 0]))] == [2, 0, 2, 0]


def test_a_pair_listed_in_both_orders_keeps_its_labels():
    rows = dataset_of([([0, 1], [2, 3], 2), ([2, 3], [0, 1], 3), ([0, 1], [1, 2], 2)], same_post=True)
    both = with_both_orders(rows)
    assert [(row["id"], row["head"], row["label"]) for row in both] == [
        (0, [0, 1], 2), (1, [2, 3], 3), (2, [0, 1], 2), (2, [1, 2], 0)
    ]  # fmt: skip


def test_pairs_are_compared_by_the_spans_of_their_entities():
    """Whitespace around a span, or a mention instead of a span, does not make another pair."""
    both_orders = dataset_of([([0, 3], [8, 11], 2), ([7, 11], [0, 4], 3)], same_post=True)
    assert len(with_both_orders(both_orders)) == 2
    mentions = dataset_of([("Ann", "Bob", 2), ("[8, 11]", " Ann", 3)], same_post=True)
    assert len(with_both_orders(mentions)) == 2
    mappings = dataset_of(
        [({"start": 0, "end": 3, "text": "Ann"}, {"start": 8, "end": 11, "text": "Bob"}, 2)] * 2, same_post=True
    )
    assert len(with_both_orders(mappings)) == 4
    assert is_tail_first(mentions).tolist() == [0, 1]


def test_a_one_way_relation_has_an_inverse():
    swapped = swapped_labels(NAMES, inverses=True)
    assert swapped.tolist() == [0, 1, 4, 5, 2, 3]  # None, peer, and two relations with their inverses
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
    assert same.features == rows.features  # without one-way relations there are no inverses


def test_the_average_is_the_same_for_a_pair_in_either_order():
    swapped = swapped_labels(NAMES[:3], inverses=True)  # None, peer, member_of and its inverse
    one, other = np.array([[0.1, 0.2, 0.6, 0.1]]), np.array([[0.2, 0.2, 0.2, 0.4]])
    average = average_both_orders(one, other, swapped)
    np.testing.assert_allclose(average, [[0.15, 0.2, 0.5, 0.15]])
    np.testing.assert_allclose(average_both_orders(other, one, swapped), average[:, swapped])
    np.testing.assert_allclose(fold_inverse_probabilities(average, NAMES[:3]), [[0.3, 0.2, 0.5]])


def test_nothing_is_swapped_if_all_pairs_are_listed_in_both_orders():
    rows = dataset_of([([0, 1], [2, 3], 2), ([2, 3], [0, 1], 3)], same_post=True)
    for inverses in (False, True):
        both = with_both_orders(rows, inverses=inverses)
        assert list(both) == list(rows)
        assert both.features["label"].num_classes == (6 if inverses else 4)


def test_the_other_order_of_a_listed_pair_gets_the_inverse_instead_of_none():
    rows = dataset_of([([0, 1], [2, 3], 2), ([2, 3], [0, 1], 0), ([0, 1], [1, 2], 0)], same_post=True)
    assert [row["label"] for row in with_both_orders(rows, inverses=True)] == [2, 4, 0, 0]
    related = dataset_of([([0, 1], [2, 3], 2), ([2, 3], [0, 1], 3)], same_post=True)  # a relation in either order
    assert [row["label"] for row in with_both_orders(related, inverses=True)] == [2, 3]
    peers = dataset_of([([0, 1], [2, 3], 1), ([2, 3], [0, 1], 0)], same_post=True)
    assert [row["label"] for row in with_both_orders(peers, inverses=True)] == [1, 0]


def test_symmetric_relations_must_be_declared_unless_labels_are_spelled_like_mnres():
    names = ["None", "married to", "friend of"]
    with pytest.raises(ValueError, match="'married to' is not spelled like MNRE's.*--symmetric"):
        swapped_labels(names)
    assert swapped_labels(names, ["married to"]).tolist() == [0, 1, 0]
    assert swapped_labels(names, []).tolist() == [0, 0, 0]
    with pytest.raises(ValueError, match="'maried to', which is not a relation; the relations are None, married to"):
        swapped_labels(names, ["maried to"])


def test_rows_that_cannot_be_swapped_are_refused():
    with pytest.raises(ValueError, match="No label is called 'None'.*the labels are a, b.*--negative NAME"):
        swapped_labels(["a", "b"])
    rows = dataset_of([([0, 1], [2, 3], 0)])
    with pytest.raises(ValueError, match="found IterableDataset"):
        with_both_orders(rows.to_iterable_dataset())
    mention = rows.remove_columns("head").add_column("head", ["Ann"])
    with pytest.raises(ValueError, match="both are spans or both are mentions; found .*string.*int64"):
        with_both_orders(mention)


@pytest.mark.parametrize(
    ("head", "tail", "tail_first"),
    [((0, 3), (8, 11), 0), ((8, 11), (0, 3), 1), ((0, 3), (0, 7), 0), ((0, 7), (0, 3), 1), ("Bob", "Ann", 1)],
)
def test_the_order_is_that_of_the_text(head, tail, tail_first):
    spans = [list(one) if isinstance(one, tuple) else one for one in (head, tail)]
    assert is_tail_first(dataset_of([(*spans, 0)])).tolist() == [tail_first]


def test_the_prior_is_the_share_of_rows_listed_in_each_order():
    names = ["None", "/per/per/peer", "/per/org/member_of"]
    first, last = [0, 3], [8, 11]
    rows = [  # head, tail, label
        (first, last, 0), (first, last, 0), (first, last, 0),
        (first, last, 1), (last, first, 1), (last, first, 1),
        (first, last, 2), (last, first, 2), (last, first, 2), (last, first, 2),
    ]  # fmt: skip
    dataset = dataset_of(rows, names)
    assert is_tail_first(dataset).tolist() == [0, 0, 0, 0, 1, 1, 0, 1, 1, 1]
    # Head first: 3 rows of None are listed, and both orders have 3 more, the swapped tail-first rows of member_of. Tail
    # first: both orders have 4 swapped rows of None, from 3 of None and 1 of member_of; none is listed, for which half
    # a row stands. Either order has 3 rows of peer, of which 1 and 2 are listed. All rows of member_of are listed.
    expected = [[3 / 6, 1 / 3, 1 / 1], [0.5 / 4, 2 / 3, 3 / 3]]
    np.testing.assert_allclose(estimate_order_prior(dataset, names), expected)
    # With inverses, swapped rows of member_of are not None: head first 3 of 3 rows of None are listed, tail first none
    # of 3. Inverses have 3 rows with the head first and 1 with the tail first, none of them listed.
    expected = [[3 / 3, 1 / 3, 1 / 1, 0.5 / 3], [0.5 / 3, 2 / 3, 3 / 3, 0.5 / 1]]
    np.testing.assert_allclose(estimate_order_prior(dataset, names, inverses=True), expected)


def test_all_inverses_share_one_weight_per_order():
    first, last = [0, 3], [8, 11]
    rows = [(first, last, 2), (first, last, 2), (first, last, 2), (first, last, 3)]  # 4 inverses with the tail first
    prior = estimate_order_prior(dataset_of(rows), NAMES, inverses=True)
    assert prior[1, 4:].tolist() == [0.5 / 4, 0.5 / 4]
    assert prior[0, 4:].tolist() == [0.5, 0.5]  # no inverse with the head first
    # The pair is listed in both orders: its inverse, listed as `None`, is as frequent in the list as in both orders.
    both = dataset_of([(first, last, 2), (last, first, 0)], same_post=True)
    assert estimate_order_prior(both, NAMES, inverses=True)[1, 4:].tolist() == [1, 1]


def test_a_label_without_rows_in_an_order_has_weight_one():
    names = ["None", "/per/per/a"]
    assert estimate_order_prior(dataset_of([([0, 1], [2, 3], 0)], names), names).tolist() == [[1, 1], [0.5, 1]]


def test_the_prior_of_the_order_of_each_row_is_applied():
    rows = dataset_of([([0, 1], [2, 3], 0), ([2, 3], [0, 1], 0)])
    weighted = apply_order_prior(np.array([[0.5, 0.5], [0.5, 0.5]]), np.array([[1.0, 1.0], [0.25, 1.0]]), rows)
    np.testing.assert_allclose(weighted, [[0.5, 0.5], [0.2, 0.8]])


def test_the_tail_first_bias_is_counted_in_the_rows():
    first, second = [0, 3], [8, 11]
    rows = [
        *[(first, second, 0)] * 3,
        (second, first, 0),
        *[(first, second, 2)] * 2,
        (second, first, 2),
        (first, second, 1),
    ]
    dataset = dataset_of(rows)
    # One unrelated pair has the tail first. Of the swapped pairs, three unrelated ones and two with "member of" would;
    # "peer" is symmetric.
    assert estimate_tail_first_bias(dataset, NAMES) == pytest.approx(np.log(6 / 1))
    assert estimate_tail_first_bias(dataset, NAMES, symmetric=[]) == pytest.approx(np.log(7 / 1))
    # In none of the listed rows.
    assert estimate_tail_first_bias(dataset.select([0, 1]), NAMES) == pytest.approx(np.log(2 / 0.5))
    assert estimate_tail_first_bias(dataset.select([4, 7]), NAMES) is None
    # With every pair in both orders, the order says nothing.
    both = dataset_of([(first, second, 0), (second, first, 0), (first, [4, 7], 2), ([4, 7], first, 0)], same_post=True)
    assert estimate_tail_first_bias(both, NAMES) == 0
    # The relations need no names in MNRE's spelling.
    others = dataset_of(rows, ["no relation", "knows", "works for", "lives in"])
    assert estimate_tail_first_bias(others, others.features["label"].names, negative="no relation") == pytest.approx(
        np.log(7)
    )

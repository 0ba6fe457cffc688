import pytest

from tgdi_hf.direction import BothOrders

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

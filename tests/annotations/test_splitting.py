from collections import Counter

import pytest

from tgdi_hf.annotations.splitting import check_shares, split_groups

# 100 posts: 60 with A, 30 with A and B, 10 with C.
POSTS = {f"{i}": ["A"] if i < 60 else ["A", "B"] if i < 90 else ["C"] for i in range(100)}


def test_every_split_has_its_share_of_every_label():
    found = split_groups(POSTS, (0.8, 0.1, 0.1), 0)
    counts = {split: Counter() for split in found.values()}
    for post, split in found.items():
        counts[split].update(POSTS[post])
    assert counts["train"] == {"A": 72, "B": 24, "C": 8}
    assert counts["validation"] == counts["test"] == {"A": 9, "B": 3, "C": 1}


def test_the_seed_decides():
    first, second, other = (split_groups(POSTS, (0.5, 0.5, 0), seed) for seed in (0, 0, 1))
    assert first == second != other and {*first.values()} == {"train", "validation"}


def test_one_rare_post_is_for_training():
    found = split_groups({**POSTS, "x": ["D"]}, (0.8, 0.1, 0.1), 3)
    assert found["x"] == "train"


def test_posts_without_labels_are_shared_out():
    found = split_groups({str(i): [] for i in range(10)}, (0.8, 0.1, 0.1), 0)
    assert Counter(found.values()) == {"train": 8, "validation": 1, "test": 1}
    assert split_groups({"a": ["A"]}, (1, 0, 0), 0) == {"a": "train"}


@pytest.mark.parametrize(
    ("shares", "message"),
    [((0.8, 0.1), "add up to 1"), ((0.8, 0.1, 0.2), "add up to 1"), ((1.5, -0.5, 0), "add up to 1"),
     ((float("nan"), 0.5, 0.5), "add up to 1"), ((0, 0.5, 0.5), "train no posts")],
)  # fmt: skip
def test_shares_that_cannot_be_right(shares, message):
    with pytest.raises(ValueError, match=message):
        check_shares(shares)

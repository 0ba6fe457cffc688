"""Splits posts at random, so that each split has its share of every relation and no post is in two splits."""

import random
from collections import Counter
from collections.abc import Mapping, Sequence

SPLITS = ("train", "validation", "test")


def check_shares(shares: Sequence[float]) -> None:
    """Raises `ValueError` if the shares of the three splits are not shares of 1, or that of `train` is 0."""
    if len(shares) != len(SPLITS) or not all(0 <= share <= 1 for share in shares) or abs(sum(shares) - 1) > 1e-6:
        raise ValueError(
            f"`split` is {', '.join(map(str, shares))}; expected the shares of train, validation and test, which add "
            "up to 1, such as 0.8 0.1 0.1."
        )
    if not shares[0]:
        raise ValueError("`split` gives train no posts; expected a share above 0.")


def split_groups(labels: Mapping[str, Sequence[str]], shares: Sequence[float], seed: int) -> dict[str, str]:
    r"""
    Assigns groups of rows to splits by iterative stratification (Sechidis et al., On the Stratification of Multi-Label
    Data, ECML-PKDD 2011): the rarest label first, each group to the split that lacks most of that label.

    Args:
        labels: The labels of the rows of each group.
        shares: The shares of train, validation and test.
        seed: Decides between groups with equal labels.

    Returns:
        The split of each group.
    """
    check_shares(shares)
    generator = random.Random(seed)
    splits = [split for split, share in zip(SPLITS, shares) if share]
    share_of = dict(zip(SPLITS, shares))
    order = list(labels)
    generator.shuffle(order)
    counts = {group: Counter(labels[group]) for group in order}
    left = Counter(label for names in labels.values() for label in names)
    wanted = {split: {label: share_of[split] * count for label, count in left.items()} for split in splits}
    room = {split: share_of[split] * len(order) for split in splits}
    groups_of: dict[str, list[str]] = {label: [] for label in left}
    for group in order:
        for label in counts[group]:
            groups_of[label].append(group)
    assigned: dict[str, str] = {}

    def assign(group: str, split: str) -> None:
        assigned[group] = split
        room[split] -= 1
        for label, count in counts[group].items():
            wanted[split][label] -= count
            left[label] -= count

    while +left:
        rarest = min(+left, key=lambda label: (left[label], label))
        for group in groups_of[rarest]:
            if group not in assigned:
                assign(group, max(splits, key=lambda split: (wanted[split][rarest], room[split])))
    for group in order:
        if group not in assigned:
            assign(group, max(splits, key=lambda split: room[split]))
    return assigned

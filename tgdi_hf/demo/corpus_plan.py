"""Plan of a split of the embedded corpus: which posts it has, before any text is written or image drawn."""

import random
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple, TypeVar

from .corpus_schema import labels_of, relation_types
from .corpus_templates import AMBIGUOUS, PLAIN, PLAIN_NONE

Item = TypeVar("Item")


@dataclass(frozen=True)
class PlannedPost:
    r"""
    Args:
        types: Entity types of head and tail, such as `"per/loc"`.
        label: The relation, or `"None"`.
        needs_image: Whether the text leaves the label open and the image determines it.
        relevance: 1 for a relevant image, 0 for an irrelevant one, `None` without image.
        misleading: Whether an irrelevant image shows the scene of another label.
    """

    types: str
    label: str
    needs_image: bool
    relevance: float | None = 1.0
    misleading: bool = False


class ImageKind(NamedTuple):
    """The fields of a `PlannedPost` that describe its image."""

    relevance: float | None
    misleading: bool


def plan(
    rows: int, rng: random.Random, needs_image: float, irrelevant: float, missing: float, misleading: float
) -> list[PlannedPost]:
    """
    Plans the posts of a split, in random order.

    The shares hold to the row, and labels are equally frequent except for `None`, which a third of the posts have.
    """
    # Rounding cumulative sums, not each share, keeps the parts from exceeding the whole.
    bounds = [*(round(rows * share) for share in accumulate((needs_image, irrelevant, missing))), rows]
    num_ambiguous = bounds[0]
    num_irrelevant, num_missing, num_relevant = (end - start for start, end in pairwise(bounds))
    num_misleading = round(num_irrelevant * misleading)
    images = (
        [ImageKind(0.0, True)] * num_misleading
        + [ImageKind(0.0, False)] * (num_irrelevant - num_misleading)
        + [ImageKind(None, False)] * num_missing
        + [ImageKind(1.0, False)] * num_relevant
    )
    plain_labels = sample_evenly([*PLAIN] + ["None"] * (len(PLAIN) // 2), rows - num_ambiguous, rng)
    none_types = iter(sample_evenly([*PLAIN_NONE], plain_labels.count("None"), rng))
    posts = [
        PlannedPost(next(none_types) if label == "None" else relation_types(label), label, False, *image)
        for label, image in zip(plain_labels, images, strict=True)
    ]
    readings = [(types, label) for types in AMBIGUOUS for label in labels_of(types)]
    posts += [PlannedPost(types, label, True) for types, label in sample_evenly(readings, num_ambiguous, rng)]
    rng.shuffle(posts)
    return posts


def sample_evenly(items: list[Item], number: int, rng: random.Random) -> list[Item]:
    """Samples `number` of the items, in random order; how often two items are sampled differs by one at most."""
    rounds, rest = divmod(number, len(items))
    chosen = items * rounds + rng.sample(items, rest)
    rng.shuffle(chosen)
    return chosen

"""Few-shot examples: drawn from the train split, seeded, one relation after the other, never the scored post."""

from collections import defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from tgdi_hf.data.dataset_columns import texts_of, undecoded
from tgdi_hf.evaluation.audit_features import image_identities


class Shots:
    r"""
    Chooses examples for a row.

    Relations take turns in a random order, each with its rows in a random order, so that as many relations as possible
    have an example. Both orders depend on the seed alone: rows with the same allowed relations have the same examples,
    unless one of these is the scored post.

    Args:
        train: The train split, with `label`.
        names: The relations in the order of the label ids.
        count: Examples per row.
        seed: Seed of both orders.
    """

    def __init__(self, train: Dataset, names: Sequence[str], count: int, seed: int = 0):
        generator = np.random.default_rng(seed)
        self.rows, self.names, self.count = undecoded(train), list(names), count
        self._texts = [normalized(text) for text in texts_of(train)] if count else []
        self._identities: dict[int, frozenset] = {}
        places = defaultdict(list)
        for place, label in enumerate(train["label"][:] if count else ()):
            places[label].append(place)
        self._places = {
            int(label): generator.permutation(places[label]).tolist() for label in generator.permutation(sorted(places))
        }

    def __call__(self, text: str, images: frozenset[Hashable], allowed: Sequence[bool], where: str) -> list[int]:
        r"""
        Args:
            text: The text of the scored post.
            images: The identities of its image, see `identities_of`.
            allowed: For each relation, whether the row may have it; examples have one of these.
            where: Names the row in messages.

        Returns:
            Indices of rows of the train split, in the order in which they are shown.

        Raises:
            ValueError: The train split has too few rows.
        """
        text, chosen = normalized(text), []
        queues = [
            (place for place in places if self._texts[place] != text and images.isdisjoint(self._images(place)))
            for label, places in self._places.items()
            if allowed[label]
        ]
        while len(chosen) < self.count:
            turn = [place for queue in queues if (place := next(queue, None)) is not None]
            if not turn:
                raise ValueError(
                    f"{where}: {self.count} examples were asked for, and the train split has {len(chosen)} other posts "
                    "with a relation that this row may have. Ask for fewer."
                )
            chosen += turn
        return chosen[: self.count]

    def _images(self, place: int) -> frozenset:
        if place not in self._identities:
            self._identities[place] = identities_of(self.rows[place], f"train, row {place}")
        return self._identities[place]


def normalized(text: str) -> str:
    """A text by which copies of a post are recognised, whatever their case and spaces."""
    return " ".join(text.lower().split())


def identities_of(row: Mapping[str, Any], where: str) -> frozenset:
    r"""
    Identities of the image of a row, by content and by `image_id`; none without an image.

    Raises:
        ValueError: The file of the image cannot be read.
    """
    try:
        return frozenset(image_identities(row))
    except OSError as error:
        raise ValueError(f"{where}: the image cannot be read: {error}") from error

"""From the scores of one entity pair to the relations in its result."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from .entity_order import joint_scores


class PairScores(NamedTuple):
    r"""
    The scores of the entity pairs in a result.

    Args:
        scores (`torch.Tensor`): Probabilities, `(pairs, labels)`.
        places: The place of each pair in the list of all pairs of the post.
    """

    scores: torch.Tensor
    places: list[int]


@dataclass(frozen=True)
class RelationLabels:
    r"""
    The labels of a model, and how their scores are interpreted.

    Args:
        names (`tuple[str, ...]`): The labels, in the order of their ids.
        symmetric (`list[bool]`): For each label, whether it is symmetric.
        negative (`str`, *optional*): The label for no relation; `None` if every label is a relation.
        bias (`float`): See `tail_first_bias`.
        thresholds (`list[float]`, *optional*): The decision threshold of each label of a multi-label model; `None` for
            a model with mutually exclusive labels.
        undeclared (`str`, *optional*): The reason why the label for no relation is unknown.
    """

    names: tuple[str, ...]
    symmetric: list[bool]
    negative: str | None = None
    bias: float = 0.0
    thresholds: list[float] | None = None
    undeclared: str | None = None

    @property
    def is_multi_label(self) -> bool:
        return self.thresholds is not None

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """`(B, labels)`, from logits of the same shape."""
        return logits.sigmoid() if self.is_multi_label else logits.softmax(dim=-1)

    def best(self, scores: Sequence[float], top_k: int | None, drop_none: bool) -> list[int]:
        r"""
        Args:
            scores: The probability of every label.
            top_k: The largest number of labels; by default 1, or for a multi-label model all above their thresholds.
            drop_none: Leave out the negative label, and all labels if it is the most likely one.

        Returns:
            Label ids, the most likely one first.
        """
        order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
        if self.thresholds is not None:
            return [i for i in order if scores[i] >= self.thresholds[i]][:top_k]
        if drop_none and self.negative is not None:
            none = self.names.index(self.negative)
            order = [] if order[0] == none else [i for i in order if i != none]
        return order[: top_k or 1]

    def of_both_orders(
        self, forward: torch.Tensor, backward: torch.Tensor, places: list[int] | None = None
    ) -> PairScores:
        r"""
        Combines the scores of both orders of entity pairs.

        Args:
            forward, backward (`torch.Tensor`): Probabilities in text order and in reverse order, `(P, labels)`.
            places: The pairs to select; by default chosen by their scores.

        Returns:
            The selected pairs: place `2 p` is pair `p` in text order, `2 p + 1` the same pair in reverse order. With
            mutually exclusive labels, each pair is selected once, in the direction of its best relation. With a
            multi-label model it is selected in every order in which a relation reaches its threshold, or in text order
            if none does.
        """
        if self.is_multi_label:
            shared = torch.tensor(self.symmetric, device=forward.device)
            mean = (forward + backward) / 2
            forward, backward = torch.where(shared, mean, forward), backward.masked_fill(shared, 0)
        else:
            forward, backward = joint_scores(forward, backward, self.names, self.bias, self.symmetric, self.negative)
        scores = torch.stack([forward, backward], dim=1).flatten(0, 1)  # (2 P, labels)
        if places is None:
            places = self._select(scores)
        return PairScores(scores[places], places)

    def _select(self, scores: torch.Tensor) -> list[int]:
        if self.thresholds is None:
            best = scores.amax(dim=1)
            return [place + int(best[place + 1] > best[place]) for place in range(0, len(best), 2)]
        holds = (scores >= scores.new_tensor(self.thresholds)).any(dim=1).tolist()
        return [
            place
            for first in range(0, len(holds), 2)
            for place in (first, first + 1)
            if holds[place] or (place == first and not holds[first + 1])
        ]

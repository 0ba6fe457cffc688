"""From the scores of one entity pair to the relations that are listed for it."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from .entity_order import joint_scores


@dataclass(frozen=True)
class RelationLabels:
    r"""
    The labels of a model, and how scores are read.

    Args:
        names (`tuple[str, ...]`): The labels, in the order of their ids.
        symmetric (`list[bool]`): Which of them hold both ways.
        negative (`str`, *optional*): The label that stands for no relation; `None` if every label is a relation.
        bias (`float`): See `tail_first_bias`.
        thresholds (`list[float]`, *optional*): Of a multi-label model: the least probability of each relation that
            holds. `None` for a model whose labels exclude each other.
        undeclared (`str`, *optional*): What is wrong where it can't be told which label is the negative one.
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
            top_k: The most labels to list; by default one, of a multi-label model all that hold.
            drop_none: Leave out the negative label, and everything where it is the most likely.

        Returns:
            Ids, the most likely first.
        """
        order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)
        if self.thresholds is not None:
            return [i for i in order if scores[i] >= self.thresholds[i]][:top_k]
        if drop_none and self.negative is not None:
            none = self.names.index(self.negative)
            order = [] if order[0] == none else [i for i in order if i != none]
        return order[: top_k or 1]

    def of_both_orders(
        self, forward: torch.Tensor, backward: torch.Tensor, places: list[int] | None
    ) -> tuple[torch.Tensor, list[int]]:
        r"""
        What is said of entity pairs whose order is not given.

        Args:
            forward, backward (`torch.Tensor`): Probabilities with the head first and with the tail first,
                `(P, labels)`.
            places: Where the answers are taken from, if that is known.

        Returns:
            `tuple`: probabilities of the answers, `(answers, labels)`, and their places: `2 p` for pair `p` as it
            stands in the text, `2 p + 1` for the other order. Labels that exclude each other give one answer per pair,
            in the direction of the best one. Of a multi-label model there is one for either order in which a relation
            holds, and one for a pair without any.
        """
        if self.is_multi_label:
            shared = torch.tensor(self.symmetric, device=forward.device)
            mean = (forward + backward) / 2
            forward, backward = torch.where(shared, mean, forward), backward.masked_fill(shared, 0)
        else:
            forward, backward = joint_scores(forward, backward, self.names, self.bias, self.symmetric, self.negative)
        scores = torch.stack([forward, backward], dim=1).flatten(0, 1)  # (2 P, labels)
        if places is None:
            places = self._places(scores)
        return scores[places], places

    def _places(self, scores: torch.Tensor) -> list[int]:
        if not self.is_multi_label:
            best = scores.amax(dim=1)
            return [place + int(best[place + 1] > best[place]) for place in range(0, len(best), 2)]
        holds = (scores >= scores.new_tensor(self.thresholds)).any(dim=1).tolist()
        return [
            place
            for first in range(0, len(holds), 2)
            for place in (first, first + 1)
            if holds[place] or (place == first and not holds[first + 1])
        ]

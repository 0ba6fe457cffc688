"""From the scores of a batch to the results of its posts."""

from dataclasses import dataclass
from typing import Any

import torch

from .entity_types import allowed_relations
from .evidence import EvidenceBuilder
from .head_and_tail import EntityPair
from .invalid_post import InvalidPost
from .post_batch import Post
from .post_text import Entity
from .processor_options import InvalidOption
from .relation_labels import PairScores, RelationLabels
from .scored_batch import ScoredBatch

NO_RELATION = {"relation": None, "score": None}


@dataclass(frozen=True)
class ResultBuilder:
    r"""
    Builds the results of a batch, see `MultimodalRelationExtractionPipeline.__call__`.

    Args:
        batch: The scored batch.
        labels: The model's labels, and how their scores are interpreted.
        top_k: The largest number of relations to list.
        drop_none: Leave out pairs without a relation.
        evidence: Builds the evidence, if requested.
    """

    batch: ScoredBatch
    labels: RelationLabels
    top_k: int | None = None
    drop_none: bool = False
    evidence: EvidenceBuilder | None = None

    def result(self, post: Post) -> dict[str, Any]:
        """The result of one post."""
        result = {} if post.given.get("id") is None else {"id": post.given["id"]}
        if post.error is not None:
            return {**result, "error": str(post.error), "field": post.error.field}
        if post.added:
            result["added"] = post.added
        if post.truncated:
            result["truncated"] = post.truncated
        assert self.batch.probabilities is not None
        pairs = self._pair_scores(post, self.batch.probabilities)
        text_only = None
        if self.evidence is not None:
            assert self.batch.text_only is not None
            text_only = self._pair_scores(post, self.batch.text_only, pairs.places).scores.tolist()
        answers = [
            self._answer(post, place, scores, None if text_only is None else text_only[i])
            for i, (scores, place) in enumerate(zip(pairs.scores.tolist(), pairs.places))
        ]
        if not post.listed:
            return {**result, **answers[0]}
        return {**result, "pairs": [one for one in answers if one["relation"] is not None or not self.drop_none]}

    def _pair_scores(self, post: Post, probabilities: torch.Tensor, places: list[int] | None = None) -> PairScores:
        """
        The scores of every entity pair in the result of a post, and the places of these pairs in `post.pairs`: as
        given, or for all pairs of a post in the order of their best relation, unless `places` fixes the order.
        """
        scores = self._mask_by_type(probabilities[post.rows].double(), post.pairs)  # (rows, labels)
        if not post.all_pairs:
            return PairScores(scores, list(range(len(post.pairs))))
        if self.labels.undeclared:
            raise InvalidOption(
                f"Scoring all pairs of a post requires the label for no relation. {self.labels.undeclared}"
            )
        return self.labels.of_both_orders(scores[::2], scores[1::2], places)

    def _mask_by_type(self, scores: torch.Tensor, pairs: list[EntityPair]) -> torch.Tensor:
        """Restricts the scores to the relations that the entity types allow, unless they allow none."""
        if all(entity.type is None for pair in pairs for entity in pair):
            return scores
        allowed = torch.tensor([allowed_relations(self.labels.names, head.type, tail.type) for head, tail in pairs])
        allowed |= ~allowed.any(dim=1, keepdim=True)
        scores = scores.masked_fill(~allowed, 0)
        if self.labels.is_multi_label:
            return scores
        return scores / scores.sum(dim=1, keepdim=True).clamp(min=torch.finfo(scores.dtype).tiny)

    def _answer(self, post: Post, place: int, scores: list[float], text_only: list[float] | None) -> dict[str, Any]:
        """The result of one entity pair, with evidence if there are scores of the text alone."""
        assert post.rows is not None
        row, names = post.rows.start + place, self.labels.names
        best = self.labels.best(scores, self.top_k, self.drop_none)
        relations = [{"relation": names[i], "score": scores[i]} for i in best]
        gate = self.batch.gate(row)
        answer = {
            **{name: _described(post.text, entity) for name, entity in post.pairs[place]._asdict().items()},
            **(relations[0] if relations else NO_RELATION),
            "relations": relations,
            "gate": None if gate is None else gate.mean().item(),
        }
        if self.evidence is None or text_only is None:
            return answer
        alone = self.labels.best(text_only, 1, drop_none=False)
        without = {"relation": names[alone[0]], "score": text_only[alone[0]]} if alone else dict(NO_RELATION)
        winner = max(range(len(scores)), key=scores.__getitem__)
        return {**answer, "evidence": {**self.evidence(self.batch, row, winner), "text_only": without}}


def mark_nan_scores(batch: ScoredBatch, strict: bool) -> None:
    r"""
    Marks posts with NaN scores as invalid: comparisons with NaN are false, so that any relation could win.

    Raises:
        InvalidPost: With `strict`, for the first such post.
    """
    for post in batch.posts:
        if post.error is not None or batch.probabilities is None or not batch.probabilities[post.rows].isnan().any():
            continue
        post.error = InvalidPost(
            f"{post.where}: the model's scores are NaN. Its weights contain NaN, or half precision has overflowed: "
            "load it in float32 or bfloat16 (`dtype`)."
        )
        if strict:
            raise post.error


def _described(text: str, entity: Entity) -> dict[str, Any]:
    start, end = entity.span
    described = {"text": text[start:end], "start": start, "end": end}
    return described if entity.type is None else {**described, "type": entity.type}

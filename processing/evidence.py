"""Evidence for a prediction, computed from the model's outputs."""

from typing import Any

import torch

from .entity_markers import ENTITY_MARKERS
from .scored_batch import RowStates, ScoredBatch


class EvidenceBuilder:
    r"""
    Builds the evidence of a result, see `MultimodalRelationExtractionPipeline.__call__`.

    Args:
        model: The model that scored the batches.
        tokenizer: The tokenizer of its processor.
    """

    def __init__(self, model: Any, tokenizer: Any):
        self.model, self.config, self.tokenizer = model, model.config, tokenizer

    def __call__(self, batch: ScoredBatch, row: int, winner: int) -> dict[str, Any]:
        r"""
        Args:
            batch: The batch.
            row: The row of the entity pair in the batch.
            winner: The id of the most likely label.

        Returns:
            `matching_gate`, `similarity`, `cosine`, `tokens`, `regions` and `branches`.
        """
        states, gate = batch.states[row], batch.gate(row)
        is_probability = getattr(self.config, "gate_is_probability", False)  # absent from other models
        evidence: dict[str, Any] = {
            "matching_gate": None if gate is None else gate_summary(gate, is_probability),
            "similarity": None,
            "cosine": None,
            "tokens": [],
            "regions": [],
            "branches": None,
        }
        if states.branches is not None:
            weights = self.label_weights(states.directed)
            cross_modal, text_oriented = states.branches
            evidence["branches"] = branch_shares(cross_modal, text_oriented, self.config.fusion_lambda, weights, winner)
        if gate is not None:
            evidence.update(self._regions(batch, row, states))
        return evidence

    def _regions(self, batch: ScoredBatch, row: int, states: RowStates) -> dict[str, Any]:
        """Similarity and cosine of image patches and tokens, as maps and summarized by token and by image."""
        assert batch.image_mask is not None and batch.image_size is not None
        assert states.similarity is not None and states.cosine is not None
        patch = self.config.vision_config.patch_size
        height, width = batch.image_size
        exists = batch.image_mask[row].bool()
        grid, count = (height // patch, width // patch), len(states.ids)
        # Half precision rounds some cosines to more than 1.
        scores = (states.similarity, states.cosine.clamp(-1, 1))
        weights = states.region_weights
        has_patches = exists if weights is None else exists.any(dim=0, keepdim=True)
        maps, cosines = (patch_maps(one, has_patches, count, grid) for one in scores)
        means, mean_cosines = (  # of images and objects, (images, tokens)
            one.mean(dim=(1, 2)) if weights is None else weights[exists] @ one[0].flatten(0, 1)
            for one in (maps, cosines)
        )
        head, tail = (means[:, start:end].sum(dim=1).tolist() for start, end in self._mentions(states.ids))
        special = self._special(states.ids)
        of_text = mean_cosines[:, ~torch.tensor(special)].mean(dim=1).tolist()
        names = ["image", *(f"object {i}" for i in range(len(exists) - 1))]
        names = [name for name, there in zip(names, exists.tolist()) if there]
        columns = zip(self._texts(states.ids), special, means[0].tolist(), mean_cosines[0].tolist())
        return {
            "similarity": maps.numpy(),
            "cosine": cosines.numpy(),
            "tokens": [dict(zip(("text", "special", "similarity", "cosine"), column)) for column in columns],
            "regions": [
                dict(zip(("region", "head", "tail", "cosine"), region)) for region in zip(names, head, tail, of_text)
            ],
        }

    def label_weights(self, directed: torch.Tensor | None) -> torch.Tensor:
        r"""
        Args:
            directed (`torch.Tensor`, *optional*): The logits of all directed relations, if the model has inverse
                labels.

        Returns:
            The classifier weights of Eq. 15, `(labels, 2 d)`. With inverse labels, those of `None` are the mean of the
            weights of all relations that count as `None`, weighted by their probabilities.
        """
        weights = self.model.classifier.weight.detach().float().cpu()
        if directed is None:
            return weights
        labels = self.config.num_labels
        none = [self.config.none_label, *range(labels, len(weights))]
        folded = weights[:labels].clone()
        folded[none[0]] = directed.cpu()[none].softmax(dim=0) @ weights[none]
        return folded

    def _mentions(self, ids: list[int]) -> list[tuple[int, int]]:
        """The token spans of head and tail, without their markers."""
        markers = self.tokenizer.convert_tokens_to_ids(ENTITY_MARKERS)
        head_start, head_end, tail_start, tail_end = map(ids.index, markers)
        return [(head_start + 1, head_end), (tail_start + 1, tail_end)]

    def _special(self, ids: list[int]) -> list[bool]:
        """For each token whether it is an entity marker or a token that frames the text, rather than part of it."""
        markers = self.tokenizer.convert_tokens_to_ids(ENTITY_MARKERS)
        special = {*markers, *self.tokenizer.all_special_ids} - {self.tokenizer.unk_token_id}
        return [token in special for token in ids]

    def _texts(self, ids: list[int]) -> list[str]:
        tokens = self.tokenizer.convert_ids_to_tokens(ids)
        return [self.tokenizer.convert_tokens_to_string([token]).strip() or token for token in tokens]


def gate_summary(gate: torch.Tensor, is_probability: bool = False) -> dict[str, Any]:
    r"""
    Args:
        gate (`torch.Tensor`): m of Eq. 10, `(d,)`.
        is_probability (`bool`): `gate_is_probability` of the configuration.

    Returns:
        `mean`, `std` and `quantiles` (minimum, lower quartile, median, upper quartile, maximum) over the d channels;
        and `is_probability`, whether the mean estimates the probability that the images belong to the text.
    """
    quantiles = gate.quantile(torch.tensor([0.0, 0.25, 0.5, 0.75, 1.0]))
    summary = {"mean": gate.mean().item(), "std": gate.std().item(), "quantiles": quantiles.tolist()}
    return {**summary, "is_probability": is_probability}


def patch_maps(scores: torch.Tensor, exists: torch.Tensor, tokens: int, grid: tuple[int, int]) -> torch.Tensor:
    r"""
    Args:
        scores (`torch.Tensor`): A of Eq. 8, or the cosines of patches and tokens, for one row: `(S n, L)`.
        exists (`torch.Tensor`): `(S,)`, true for the slots that contain an image.
        tokens: The number of tokens of the row, without padding.
        grid: The number of rows and columns of patches per image.

    Returns:
        `torch.Tensor`: `(images, rows, columns, tokens)`; the shares of the tokens in A sum to one for each patch.
    """
    return scores[:, :tokens].unflatten(0, (-1, *grid))[exists]


def branch_shares(
    cross_modal: torch.Tensor, text_oriented: torch.Tensor, weight: float, classifier: torch.Tensor, relation: int
) -> dict[str, float]:
    r"""
    The shares of both branches of Eq. 14 in the winning relation: the absolute contribution of each branch to the
    difference between the relation's logit and the mean of all logits, normalized to sum to one.

    Args:
        cross_modal (`torch.Tensor`): f_1 at the markers of head and tail, `(2 d,)`.
        text_oriented (`torch.Tensor`): f_3 at the same markers, `(2 d,)`.
        weight: λ.
        classifier (`torch.Tensor`): The weights of Eq. 15, `(relations, 2 d)`.
        relation: The id of the winning relation.
    """
    direction = classifier[relation] - classifier.mean(dim=0)
    parts = torch.stack([(1 - weight) * direction @ cross_modal, weight * direction @ text_oriented]).abs()
    shares = parts / parts.sum().clamp(min=torch.finfo(parts.dtype).tiny)
    return dict(zip(("cross_modal", "text_oriented"), shares.tolist()))

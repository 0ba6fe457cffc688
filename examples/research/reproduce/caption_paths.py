"""Other places where captions could enter TGDI than the text of Eq. 4, and captions that change in training."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from tgdi_hf import TGDIModel
from tgdi_hf.modeling.input_checks import read_text
from tgdi_hf.modeling.prefix_attention import PrefixCache
from tgdi_hf.modeling.tgdi_inputs import TextInputs


class CaptionsForTheGate(TGDIModel):
    """
    TGDI whose gate compares the images with T_e (Eq. 7 and 8), while all relations are read from T. The matching loss,
    which is off by default, would read T as well.
    """

    def forward(
        self, enhanced_input_ids=None, enhanced_attention_mask=None, enhanced_token_type_ids=None, **inputs: Any
    ):
        self.enhanced = read_text(
            "enhanced_", enhanced_input_ids, None, enhanced_attention_mask, enhanced_token_type_ids,
            self.get_input_embeddings(), self.config.embedding_size,
        )  # fmt: skip
        return super().forward(**inputs)

    def _matching_gate(self, images, h_s, mask):
        if images is not None and self.enhanced is not None:
            mask = self.enhanced.mask
            h_s = self.self_attention(self._encode(self.enhanced).last_hidden_state, mask)  # (B, L_e, d)
        return super()._matching_gate(images, h_s, mask)


class CaptionsInTheirOwnPass(TGDIModel):
    """
    TGDI that encodes T with the visual prompts, and the caption by itself. The text-oriented interaction is the first
    to relate the two. (One pass computes both: the attention of each ends where the other begins.)
    """

    def forward(self, attention_mask=None, **inputs: Any):
        self.lengths = attention_mask.sum(dim=1, keepdim=True)  # of T, (B, 1)
        return super().forward(attention_mask=attention_mask, **inputs)

    def _encode(self, text: TextInputs, prefix: PrefixCache | None = None, outputs=None, weights=None):
        positions = torch.arange(text.mask.shape[1], device=text.mask.device)
        caption = text.mask.bool() & (positions >= self.lengths)  # (B, L_e)
        if caption.any():
            visible = caption[:, :, None] == caption[:, None, :]  # (B, L_e, L_e)
            if prefix is not None:
                prompts = (~caption)[:, :, None].expand(-1, -1, prefix.mask.shape[1])
                visible = torch.cat([prompts, visible], dim=2)  # (B, L_e, P + L_e)
            weights = visible.to(self.dtype) if weights is None else visible * weights[:, None]
        return super()._encode(text, prefix, outputs, weights)


CAPTION_PATHS: dict[str, type[TGDIModel]] = {
    "text": TGDIModel,
    "gate": CaptionsForTheGate,
    "own pass": CaptionsInTheirOwnPass,
}


class ChangedCaptions:
    r"""
    A transform of the batches of a `datasets.Dataset` that leaves out a share of the captions and exchanges another one
    for captions of other posts in the batch. The choices depend on the seed and on the ids of the rows in the batch.

    Args:
        dropout: Share of the captions that are left out.
        swapped: Share of the captions that are exchanged; one stays if the batch has no other caption.
        seed: Seed of all random choices.
    """

    def __init__(self, dropout: float, swapped: float, seed: int):
        self.dropout, self.swapped, self.seed = dropout, swapped, seed

    def __call__(self, batch: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        captions, ids = batch.get("caption"), batch.get("id")
        if captions is None or ids is None:  # of single columns, such as the lengths for batches of similar length
            return dict(batch)
        generator = np.random.default_rng([self.seed, *"\n".join(ids).encode()])
        changed = list(captions)
        for row, draw in enumerate(generator.random(len(captions))):
            if draw < self.dropout:
                changed[row] = None
            elif draw < self.dropout + self.swapped and captions[row]:
                others = [caption for caption in captions if caption and caption != captions[row]]
                changed[row] = others[generator.integers(len(others))] if others else captions[row]
        return {**batch, "caption": changed}


__all__ = ["CAPTION_PATHS", "CaptionsForTheGate", "CaptionsInTheirOwnPass", "ChangedCaptions"]

"""The outputs of the TGDI models."""

from dataclasses import dataclass

import torch
from transformers.utils import ModelOutput


@dataclass
class TGDIModelOutput(ModelOutput):
    r"""
    Output of `TGDIModel`. A batch has B posts of L tokens (L_e with the caption) and S image slots per post (one for
    the whole image, one per object), each of n patches; N = S · n, or n with `object_features="regions"`, where objects
    have no patches but those of the image; and d is the width of the text encoder.

    Args:
        entity_states (`torch.Tensor` of shape `(B, 2 d)`):
            R of Eq. 14 at the opening markers of head and tail, concatenated: the input of the classifier.
        matching_gate (`torch.Tensor` of shape `(B, d)`, *optional*):
            m of Eq. 10, in [0, 1]; one for posts without an image. Absent if the gate is switched off.
        similarity (`torch.Tensor` of shape `(B, N, L)`, *optional*):
            A of Eq. 8, patch × token, images in order and patches row by row. Absent if no post has an image.
        patch_token_cosine (`torch.Tensor` of shape `(B, N, L)`, *optional*):
            The cosine of each patch V and each token H_s of Eq. 8, in [-1, 1]; zero at empty slots and padding. Rows of
            A sum to one whether the image fits or not; cosines can be compared between posts.
        vision_gates (`torch.Tensor` of shape `(B, S, layers, c)`, *optional*):
            g of Eq. 3, the weight of each of c vision layers in each text layer. Absent if no post has an image.
        region_weights (`torch.Tensor` of shape `(B, S, n)`, *optional*):
            The weights of the patches in each slot, which sum to one: uniform for the image, and the shares of its box
            for an object. Present with `object_features="regions"` and an image; arbitrary for empty slots.
        matching_loss (`torch.Tensor` of shape `()`, *optional*):
            Present in training with `config.matching_loss_weight`, for batches with an image.
        text_states (`torch.Tensor` of shape `(B, 2 d)`, *optional*):
            H of Eq. 7 at the opening markers, concatenated. Present in training with `config.text_loss_weight`.
        cross_modal_last_hidden_state (`torch.Tensor` of shape `(B, L_e, d)`):
            f_1 of Eq. 6, before the gate.
        text_oriented_last_hidden_state (`torch.Tensor` of shape `(B, L, d)`, *optional*):
            f_3 of Eq. 13. Absent if the text-oriented interaction is switched off.
        cross_modal_hidden_states (`tuple` of `layers + 1` `torch.Tensor` of shape `(B, L_e, d)`, *optional*):
            Present with `output_hidden_states`; `None` in place of each state that its indices do not select.
        cross_modal_attentions (`tuple` of `layers` `torch.Tensor` of shape `(B, heads, L_e, P + L_e)`, *optional*):
            Present with `output_attentions=True`; the first P keys are the visual prompts.
        text_oriented_hidden_states (`tuple` of `toi_num_layers + 1` `torch.Tensor` of shape `(B, L, d)`, *optional*):
            Present with `output_hidden_states`, selected likewise; the first is H_s of Eq. 7.
        text_oriented_attentions (`tuple` of `toi_num_layers` `torch.Tensor` of shape `(B, heads, L, L_e + L)`, \
*optional*):
            Present with `output_attentions=True`; the first L_e keys are the gated states f_2.
    """

    entity_states: torch.Tensor | None = None
    matching_gate: torch.Tensor | None = None
    similarity: torch.Tensor | None = None
    patch_token_cosine: torch.Tensor | None = None
    vision_gates: torch.Tensor | None = None
    matching_loss: torch.Tensor | None = None
    text_states: torch.Tensor | None = None
    cross_modal_last_hidden_state: torch.Tensor | None = None
    text_oriented_last_hidden_state: torch.Tensor | None = None
    cross_modal_hidden_states: tuple[torch.Tensor | None, ...] | None = None
    cross_modal_attentions: tuple[torch.Tensor, ...] | None = None
    text_oriented_hidden_states: tuple[torch.Tensor | None, ...] | None = None
    text_oriented_attentions: tuple[torch.Tensor, ...] | None = None
    region_weights: torch.Tensor | None = None


@dataclass
class TGDIRelationExtractionOutput(ModelOutput):
    r"""
    Output of `TGDIForRelationExtraction`: `TGDIModelOutput` with a loss and logits in place of the entity states.

    Args:
        loss (`torch.Tensor` of shape `()`, *optional*):
            Cross-entropy of Eq. 16 (of `directed_logits`, if present), if `labels` are given. In training, the losses
            of `config.matching_loss_weight` and `config.branch_consistency_weight` are added.
        logits (`torch.Tensor` of shape `(B, num_labels)`):
            Scores of the relations before the softmax of Eq. 15.
        matching_gate (`torch.Tensor` of shape `(B, d)`, *optional*): As in `TGDIModelOutput`.
        similarity (`torch.Tensor` of shape `(B, N, L)`, *optional*): As in `TGDIModelOutput`.
        patch_token_cosine (`torch.Tensor` of shape `(B, N, L)`, *optional*): As in `TGDIModelOutput`.
        vision_gates (`torch.Tensor` of shape `(B, S, layers, c)`, *optional*): As in `TGDIModelOutput`.
        cross_modal_hidden_states (`tuple` of `torch.Tensor`, *optional*): As in `TGDIModelOutput`.
        cross_modal_attentions (`tuple` of `torch.Tensor`, *optional*): As in `TGDIModelOutput`.
        text_oriented_hidden_states (`tuple` of `torch.Tensor`, *optional*): As in `TGDIModelOutput`.
        text_oriented_attentions (`tuple` of `torch.Tensor`, *optional*): As in `TGDIModelOutput`.
        directed_logits (`torch.Tensor` of shape `(B, num_labels + inverse_labels)`, *optional*):
            Present with `config.inverse_labels`: scores in which relations from tail to head are separate labels, after
            the others, rather than part of the negative label.
        region_weights (`torch.Tensor` of shape `(B, S, n)`, *optional*): As in `TGDIModelOutput`.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    matching_gate: torch.Tensor | None = None
    similarity: torch.Tensor | None = None
    patch_token_cosine: torch.Tensor | None = None
    vision_gates: torch.Tensor | None = None
    cross_modal_hidden_states: tuple[torch.Tensor | None, ...] | None = None
    cross_modal_attentions: tuple[torch.Tensor, ...] | None = None
    text_oriented_hidden_states: tuple[torch.Tensor | None, ...] | None = None
    text_oriented_attentions: tuple[torch.Tensor, ...] | None = None
    directed_logits: torch.Tensor | None = None
    region_weights: torch.Tensor | None = None

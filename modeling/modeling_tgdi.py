"""TGDI: Text-Guided Dual Interaction for multimodal relation extraction in social media (ECML-PKDD 2025)."""

from typing import Any

import torch
from torch import nn
from transformers import AutoModel, PreTrainedModel
from transformers.utils import can_return_tuple

from .attention_support import check_implementation_of
from .blank_images import blank_images, trains_with_other_processes
from .branch_consistency import branch_divergence
from .classification_loss import adjusted_scores, classification_loss, share_of_step
from .configuration_tgdi import TGDIConfig
from .devices import on_device_of
from .forward_arguments import reject_unknown_arguments
from .input_checks import check_entities, check_matches, read_text
from .inverse_relations import fold_inverses
from .matching_gate import MatchingGate, MatchingGateOutput, TextSelfAttention, gated_keys, matching_loss
from .output_selection import OutputOptions, output_options
from .prefix_attention import PrefixCache
from .pretrained_towers import as_text_encoder, as_vision_tower
from .result_fusion import at_markers, fuse_results
from .swapped_rows import supported_rows
from .text_encoder_pass import EncodedText, encode_text
from .text_oriented import EncoderReference, TextOrientedInteraction, TextOrientedOutput
from .tgdi_inputs import Images, TextInputs
from .tgdi_outputs import TGDIModelOutput, TGDIRelationExtractionOutput
from .tgdi_pretrained_model import TGDIPreTrainedModel
from .visual_prompts import VisualPrompts, vision_features


class TGDIModel(TGDIPreTrainedModel):
    r"""
    The two encoders and the dual interaction between them, without a classification head.

    Args:
        config (`TGDIConfig`): Configuration of the model. Mechanisms that it switches off are not built.
    """

    config: TGDIConfig

    def __init__(self, config: TGDIConfig):
        super().__init__(config)
        self.vision_tower: PreTrainedModel | None = None
        self.visual_prompts: VisualPrompts | None = None
        self.self_attention: TextSelfAttention | None = None
        self.matching_gate: MatchingGate | None = None
        self.text_oriented: TextOrientedInteraction | None = None
        self.text_encoder = as_text_encoder(AutoModel.from_config(config.text_config))
        if config.uses_vision:
            self.vision_tower = as_vision_tower(AutoModel.from_config(config.vision_config))
        if config.use_visual_prompts:
            self.visual_prompts = VisualPrompts(config)
        if config.use_matching_gate or config.use_text_oriented_interaction:
            self.self_attention = TextSelfAttention(config)
        if config.use_matching_gate:
            self.matching_gate = MatchingGate(config)
        if config.use_text_oriented_interaction:
            self.text_oriented = TextOrientedInteraction(config, self.text_encoder)
        self.post_init()

    def get_vision_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        r"""
        Computes everything that the model reads from images; `forward` accepts it as `vision_features`.

        Args:
            pixel_values (`torch.Tensor`): `(..., 3, H, W)`, with any number of leading dimensions, or none.

        Returns:
            `torch.Tensor`: `(..., c · prompt_grid ** 2 + n, d_v)`: the pooled patches of each of the c hidden states,
            then the n patches of the last hidden state, without class and register tokens. With
            `object_features="regions"` `(..., c · n, d_v)`: the patches of each hidden state, which serve any boxes.

        Raises:
            ValueError: The model has no vision encoder, or the shape holds no image.
        """
        if self.vision_tower is None:
            raise ValueError("This model reads no images: both of its visual mechanisms are switched off.")
        if pixel_values.dim() < 3 or 0 in pixel_values.shape:
            raise ValueError(
                f"`pixel_values` has shape {tuple(pixel_values.shape)}; expected (..., 3, H, W), at least one image."
            )
        check_implementation_of("vision_config", self.vision_tower.config._attn_implementation)
        images = pixel_values.reshape(-1, *pixel_values.shape[-3:])  # (N, 3, H, W)
        grid, object_features = self.config.prompt_grid, self.config.object_features
        features = vision_features(self.vision_tower, images, grid, object_features)  # (N, tokens, d_v)
        return features.view(*pixel_values.shape[:-3], *features.shape[1:])

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        enhanced_input_ids: torch.Tensor | None = None,
        enhanced_attention_mask: torch.Tensor | None = None,
        enhanced_token_type_ids: torch.Tensor | None = None,
        head_index: torch.Tensor | None = None,
        tail_index: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        vision_features: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        image_index: torch.Tensor | None = None,
        object_boxes: torch.Tensor | None = None,
        image_matches: torch.Tensor | None = None,
        output_hidden_states: bool | int | list[int] | None = None,
        output_attentions: bool | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        inputs_embeds: torch.Tensor | None = None,
        enhanced_inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> TGDIModelOutput:
        r"""
        Args:
            input_ids, attention_mask, token_type_ids (`torch.Tensor`): T, `(B, L)`, with the entity markers.
            enhanced_input_ids, enhanced_attention_mask, enhanced_token_type_ids (`torch.Tensor`, *optional*):
                T_e, `(B, L_e)`: T followed by the caption. Defaults to T.
            head_index, tail_index (`torch.LongTensor`): `(B,)`, the positions of the opening markers of head and tail,
                equal in T and T_e.
            pixel_values (`torch.FloatTensor`, *optional*): The images of each post, `(B, S, 3, H, W)`, or with
                `image_index` the distinct images of the batch, `(N, 3, H, W)`. Omit for a batch without images.
            vision_features (`torch.FloatTensor`, *optional*): `get_vision_features(pixel_values)`, instead of
                `pixel_values`.
            image_mask (`torch.Tensor`, *optional*): `(B, S)`, nonzero where a slot holds an image. Defaults to all.
            image_index (`torch.LongTensor`, *optional*): `(B, S)`, the distinct image in each slot.
            object_boxes (`torch.FloatTensor`, *optional*): With `object_features="regions"`, the m objects of each
                post, `(B, m, 4)`: x0, y0, x1, y1 in fractions of the image that the encoder sees. A post then has one
                image, `(B, 1, 3, H, W)` with an `image_index` of `(B, 1)`, and S = 1 + m slots in `image_mask`.
            image_matches (`torch.Tensor`, *optional*): `(B,)`, 1 where the images belong to the text, 0 where they are
                those of another post. Only losses read it, in training.
            output_hidden_states (`bool`, `int` or `list[int]`, *optional*): Whether to return the hidden states of both
                passes. Indices select states in each pass, negative ones from its end; the others are `None`.
            output_attentions (`bool`, *optional*): Whether to return the attention weights of both passes; requires
                `attn_implementation="eager"`.
            inputs_embeds, enhanced_inputs_embeds (`torch.FloatTensor`, *optional*): Word embeddings instead of
                `input_ids` and `enhanced_input_ids`, for attribution methods: `get_input_embeddings()(ids)`,
                `(B, L, embedding_size)` and `(B, L_e, embedding_size)`. The encoder adds positions and segments.
            num_items_in_batch (*optional*): Ignored; `Trainer` passes it to every model.

        Returns:
            `TGDIModelOutput`.

        Raises:
            TypeError: An unknown argument.
            ValueError: Tensors that do not belong together; the message names them and their shapes.
        """
        reject_unknown_arguments(self.forward, kwargs)
        if head_index is None or tail_index is None:
            raise ValueError("`head_index` and `tail_index` are required: the positions of the opening entity markers.")
        outputs = output_options(
            self.config, output_hidden_states, output_attentions, self.text_encoder.config._attn_implementation
        )
        embeddings, width = self.get_input_embeddings(), self.config.embedding_size
        text = read_text("", input_ids, inputs_embeds, attention_mask, token_type_ids, embeddings, width)  # T
        if text is None:
            raise ValueError("`input_ids` or `inputs_embeds` are required.")
        enhanced = read_text(  # T_e
            "enhanced_", enhanced_input_ids, enhanced_inputs_embeds, enhanced_attention_mask, enhanced_token_type_ids,
            embeddings, width,
        )  # fmt: skip
        enhanced = text if enhanced is None else enhanced
        check_entities(
            {"head_index": head_index, "tail_index": tail_index},
            {"text": text} if enhanced is text else {"text": text, "enhanced text": enhanced},
        )
        batch_size = text.mask.shape[0]
        check_matches(image_matches, batch_size)
        images = self._images(pixel_values, vision_features, image_mask, image_index, object_boxes, batch_size)

        prefix, vision_gates = self._visual_prompts(images)  # Eq. 1-3, 5
        single_pass = enhanced is text and prefix is None  # without captions and prompts both passes are identical
        plain = h_s = None
        attends = self.text_oriented is not None or (self.matching_gate is not None and images is not None)
        trains_text = self.training and self.config.text_loss_weight > 0
        if attends or trains_text:
            plain = self._encode(text, outputs=outputs if single_pass else None)  # H: (B, L, d)
        if attends:
            assert self.self_attention is not None and plain is not None
            h_s = self.self_attention(plain.last_hidden_state, text.mask)  # Eq. 7
        gate, similarity, cosine = self._matching_gate(images, h_s, text.mask)  # Eq. 8-10: Text Modulated Matching Gate
        if self.config.gate_visual_prompts and prefix is not None and gate is not None:
            prefix.weigh_values(gate)
        weights = None
        if self.config.gate_attention and gate is not None and images is not None:
            weights = gated_keys(gate, None if prefix is None else prefix.mask, text.mask, enhanced.mask)
        # Eq. 4, 6: Cross-Modal Interaction
        cross_modal = plain if single_pass and plain is not None else self._encode(enhanced, prefix, outputs, weights)
        f_1 = cross_modal.last_hidden_state  # (B, L_e, d)
        f_2 = f_1 if gate is None else on_device_of(gate, f_1).unsqueeze(1) * f_1  # Eq. 11
        mismatch = self._matching_loss(gate, images, h_s, text.mask, image_matches)
        toi = TextOrientedOutput()
        if self.text_oriented is not None:  # Eq. 12, 13: Text-Oriented Interaction
            toi = self.text_oriented(h_s, text.mask, f_2, enhanced.mask, EncoderReference(self.text_encoder), **outputs)
        f_3 = toi.last_hidden_state  # (B, L, d)
        entity_states = fuse_results(f_1, f_2, f_3, head_index, tail_index, self.config)  # Eq. 14

        return TGDIModelOutput(
            entity_states=entity_states,
            matching_gate=gate,
            similarity=similarity,
            patch_token_cosine=cosine,
            vision_gates=vision_gates,
            region_weights=None if images is None else images.region_weights,
            matching_loss=mismatch,
            text_states=at_markers(plain.last_hidden_state, head_index, tail_index) if trains_text and plain else None,
            cross_modal_last_hidden_state=f_1,
            text_oriented_last_hidden_state=f_3,
            cross_modal_hidden_states=cross_modal.hidden_states,
            cross_modal_attentions=cross_modal.attentions,
            text_oriented_hidden_states=toi.hidden_states,
            text_oriented_attentions=toi.attentions,
        )

    def _encode(
        self,
        text: TextInputs,
        prefix: PrefixCache | None = None,
        outputs: OutputOptions | None = None,
        weights: torch.Tensor | None = None,
    ) -> EncodedText:
        return encode_text(self.text_encoder, text, prefix, self.config, self.dtype, outputs or {}, weights)

    def _images(
        self, pixel_values, vision_features, image_mask, image_index, object_boxes, batch_size: int
    ) -> Images | None:
        if self.vision_tower is None:
            return None
        if image_index is not None and getattr(self, "_is_replica", False):
            raise ValueError(
                "`nn.DataParallel` splits a batch into pieces that cannot share images by `image_index`. Start one "
                "process per GPU with `accelerate launch`, or use `TGDICollator(processor, share_images=False)`."
            )
        images = Images.from_inputs(
            pixel_values, vision_features, image_mask, image_index, object_boxes,
            batch_size=batch_size, config=self.config, encode=self.get_vision_features, dtype=self.dtype,
        )  # fmt: skip
        blank = images is None and trains_with_other_processes(self)
        return blank_images(self, batch_size) if blank else images

    def _visual_prompts(self, images: Images | None) -> tuple[PrefixCache | None, torch.Tensor | None]:
        if self.visual_prompts is None or images is None:
            return None, None
        return self.visual_prompts(images)

    def _matching_gate(self, images, h_s, mask) -> MatchingGateOutput:
        if self.matching_gate is None:
            return MatchingGateOutput()
        if images is None:
            shape = (mask.shape[0], self.config.text_config.hidden_size)
            return MatchingGateOutput(torch.ones(shape, dtype=self.dtype, device=mask.device))
        return self.matching_gate(images, h_s, mask)

    def _matching_loss(self, gate, images, h_s, mask, matches) -> torch.Tensor | None:
        if not (self.training and self.config.matching_loss_weight) or self.matching_gate is None or images is None:
            return None
        if self.config.matching_loss_gate_only:
            images, h_s = images._replace(patches=images.patches.detach()), h_s.detach()
            gate = self.matching_gate(images, h_s, mask).gate
        return matching_loss(gate, self.matching_gate(images.shifted_negatives(), h_s, mask).gate, images, matches)


class TGDIForRelationExtraction(TGDIPreTrainedModel):
    r"""
    TGDI with the classifier of Eq. 15 over the relation labels in `config.id2label`.

    Args:
        config (`TGDIConfig`): Configuration of the model.
    """

    config: TGDIConfig

    def __init__(self, config: TGDIConfig):
        super().__init__(config)
        self.num_labels = config.num_labels
        self.tgdi = TGDIModel(config)
        self.dropout = nn.Dropout(config.classifier_dropout)
        self.classifier = nn.Linear(2 * config.text_config.hidden_size, config.num_labels + config.inverse_labels)
        self.post_init()

    def get_vision_features(self, pixel_values: torch.Tensor) -> torch.Tensor:
        """See `TGDIModel.get_vision_features`."""
        return self.tgdi.get_vision_features(pixel_values)

    @can_return_tuple
    def forward(
        self,
        input_ids: torch.Tensor | None = None,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        enhanced_input_ids: torch.Tensor | None = None,
        enhanced_attention_mask: torch.Tensor | None = None,
        enhanced_token_type_ids: torch.Tensor | None = None,
        head_index: torch.Tensor | None = None,
        tail_index: torch.Tensor | None = None,
        pixel_values: torch.Tensor | None = None,
        vision_features: torch.Tensor | None = None,
        image_mask: torch.Tensor | None = None,
        image_index: torch.Tensor | None = None,
        object_boxes: torch.Tensor | None = None,
        image_matches: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        output_hidden_states: bool | int | list[int] | None = None,
        output_attentions: bool | None = None,
        num_items_in_batch: torch.Tensor | int | None = None,
        inputs_embeds: torch.Tensor | None = None,
        enhanced_inputs_embeds: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> TGDIRelationExtractionOutput:
        r"""
        Args:
            labels (`torch.LongTensor`, *optional*): Label ids, `(B,)`; -100 excludes a row from the loss. With
                `config.inverse_labels`, ids from `num_labels` on are those of relations from tail to head. For a
                multi-label model `(B, num_labels)`, 1 for each relation that holds and 0 for the others.
            num_items_in_batch (`torch.Tensor` or `int`, *optional*): Divisor of the summed loss, so that accumulated
                batches weigh every row equally; `Trainer` passes it. Defaults to the number of labels in the batch.

        The other arguments are those of `TGDIModel.forward`.

        Returns:
            `TGDIRelationExtractionOutput`.

        Raises:
            TypeError, ValueError: As `TGDIModel.forward`.
        """
        reject_unknown_arguments(self.forward, kwargs)
        outputs = self.tgdi(
            input_ids=input_ids,
            attention_mask=attention_mask,
            token_type_ids=token_type_ids,
            enhanced_input_ids=enhanced_input_ids,
            enhanced_attention_mask=enhanced_attention_mask,
            enhanced_token_type_ids=enhanced_token_type_ids,
            head_index=head_index,
            tail_index=tail_index,
            pixel_values=pixel_values,
            vision_features=vision_features,
            image_mask=image_mask,
            image_index=image_index,
            object_boxes=object_boxes,
            image_matches=image_matches,
            output_hidden_states=output_hidden_states,
            output_attentions=output_attentions,
            inputs_embeds=inputs_embeds,
            enhanced_inputs_embeds=enhanced_inputs_embeds,
            return_dict=True,
        )
        scores = self.classifier(self.dropout(outputs.entity_states))  # Eq. 15
        loss = None
        if labels is not None:
            labels = on_device_of(labels, scores)
            multi_label, weights, text_loss = self.config.thresholds is not None, None, None
            if self.training and self.config.text_loss_weight:
                alone = self.classifier(self.dropout(outputs.text_states))
                text_loss = classification_loss(self._adjusted(alone), labels, multi_label, num_items_in_batch)
                weights = supported_rows(alone, labels, image_matches)
            adjusted = self._adjusted(scores)
            loss = classification_loss(adjusted, labels, multi_label, num_items_in_batch, weights)  # Eq. 16
            if text_loss is not None:
                loss = loss + self.config.text_loss_weight * text_loss
            if further := self._further_losses(outputs, head_index, tail_index, labels):
                loss = loss + share_of_step(labels, num_items_in_batch) * sum(further)
        directed = scores if self.config.inverse_labels else None
        return TGDIRelationExtractionOutput(
            loss=loss,
            logits=scores if directed is None else fold_inverses(directed, self.num_labels, self.config.none_label),
            matching_gate=outputs.matching_gate,
            similarity=outputs.similarity,
            patch_token_cosine=outputs.patch_token_cosine,
            vision_gates=outputs.vision_gates,
            cross_modal_hidden_states=outputs.cross_modal_hidden_states,
            cross_modal_attentions=outputs.cross_modal_attentions,
            text_oriented_hidden_states=outputs.text_oriented_hidden_states,
            text_oriented_attentions=outputs.text_oriented_attentions,
            directed_logits=directed,
            region_weights=outputs.region_weights,
        )

    def _adjusted(self, scores: torch.Tensor) -> torch.Tensor:
        """The scores that the loss reads; in training, with the logit adjustment of the configuration."""
        if not (self.training and self.config.logit_adjustment):
            return scores
        return adjusted_scores(scores, self.config.label_log_priors, self.config.logit_adjustment)

    def _further_losses(self, outputs: TGDIModelOutput, head_index, tail_index, labels) -> list[torch.Tensor]:
        """The weighted losses that the configuration adds to Eq. 16 in training; none by default, as in the paper."""
        losses = []
        if outputs.matching_loss is not None:
            losses.append(self.config.matching_loss_weight * outputs.matching_loss)
        if self.training and self.config.branch_consistency_weight:
            f_1, f_3 = outputs.cross_modal_last_hidden_state, outputs.text_oriented_last_hidden_state
            assert f_1 is not None and f_3 is not None, "the configuration requires both branches"
            states = [at_markers(f, head_index, tail_index) for f in (f_1, f_3)]
            cross_modal, text_oriented = (self.classifier(self.dropout(r)) for r in states)
            losses.append(self.config.branch_consistency_weight * branch_divergence(cross_modal, text_oriented, labels))
        return losses


__all__ = ["TGDIForRelationExtraction", "TGDIModel"]

"""VisualBERT (Li et al., 2019): images are tokens after the text, and one encoder reads both."""

import logging
from typing import Any

import torch
from torch import nn
from transformers import BertConfig, PreTrainedModel, VisualBertConfig, VisualBertModel

from .baseline import Baseline

PROJECTION = "embeddings.visual_projection."
logger = logging.getLogger(__name__)


class VisualBERTForRelationExtraction(Baseline):
    r"""
    The VisualBERT encoder of transformers. Where the paper has the regions of a detector, the visual tokens here are
    all patches of a post's images, from the last layer of the vision encoder (196 for four images of CLIP ViT-B/32).
    The paper does not extract relations, so the states at the two opening markers are our head.

    `from_text_vision_pretrained` accepts two kinds of text models. A BERT, as in the paper before its pre-training:
    segment and position embeddings of visual tokens start as copies of those of text. Or a VisualBERT checkpoint such
    as uclanlp/visualbert-vqa-coco-pre, in a folder with the files of BERT's tokenizer, which the published checkpoints
    lack: all its weights are kept, except for the projection of visual features if it expects another width than the
    vision encoder has (the published ones expect 512 to 2,048 channels of a detector).
    """

    def __init__(self, config):
        super().__init__(config)
        # Hidden states of vision transformers differ by orders of magnitude between channels.
        self.norm = nn.LayerNorm(config.vision_config.hidden_size)
        self.post_init()

    def make_text_encoder(self, config) -> nn.Module:
        if config.text_config.model_type != "bert":
            raise ValueError(
                f"VisualBERT's encoder is initialised from a BERT or a VisualBERT; `text_config` is of type "
                f"{config.text_config.model_type!r}. Use one of them as text model."
            )
        values = {name: value for name, value in config.text_config.to_dict().items() if name != "model_type"}
        visual = VisualBertConfig(**values, visual_embedding_dim=config.vision_config.hidden_size)
        return VisualBertModel(visual, add_pooling_layer=False)

    @classmethod
    def text_config_of(cls, encoder: PreTrainedModel) -> dict[str, Any]:
        r"""
        A BERT's configuration, with the sizes of the encoder.

        Raises:
            ValueError: A VisualBERT whose images bypass its layers.
        """
        values = super().text_config_of(encoder)
        if encoder.config.model_type != "visual_bert":
            return values
        if values.pop("bypass_transformer"):
            raise ValueError(
                "The VisualBERT checkpoint has `bypass_transformer=True`: its images bypass all layers but one. Use a "
                "checkpoint whose layers read images, such as uclanlp/visualbert-vqa-coco-pre."
            )
        for name in ("model_type", "visual_embedding_dim", "special_visual_initialize"):
            values.pop(name)
        return BertConfig(**values).to_dict()

    def load_text_encoder(self, encoder: PreTrainedModel) -> None:
        """Copies the weights of a BERT or of a VisualBERT; logs a warning if the latter's projection does not fit."""
        weights = encoder.state_dict()
        own = {name: value for name, value in self.text_encoder.state_dict().items() if name.startswith(PROJECTION)}
        if encoder.config.model_type == "visual_bert":
            found, expected = encoder.config.visual_embedding_dim, self.config.vision_config.hidden_size
            if found != expected:
                logger.warning(
                    "The visual projection of the VisualBERT checkpoint reads %d channels, and the vision encoder has "
                    "%d: it starts from random weights.", found, expected,
                )  # fmt: skip
                weights |= own
        else:
            weights |= own
            for name in ("token_type_embeddings.weight", "position_embeddings.weight"):
                weights[f"embeddings.visual_{name}"] = weights[f"embeddings.{name}"]
        self.text_encoder.load_state_dict(weights)

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        visual = {}
        if images is not None:
            patches = self.norm(images.maps[-1].flatten(2).mT)  # (N, n, d_v)
            embeds, there = images.tokens_of_posts(patches)  # (B, S n, d_v)
            visual = {"visual_embeds": embeds, "visual_attention_mask": there.to(mask.dtype)}
        states = self.text_encoder(input_ids=ids, attention_mask=mask, token_type_ids=types, **visual).last_hidden_state
        return states[:, : ids.shape[1]]  # (B, L, d)

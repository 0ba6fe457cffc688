"""VisualBERT (Li et al., 2019): images are tokens after the text, and one encoder reads both."""

import torch
from torch import nn
from transformers import VisualBertConfig, VisualBertModel

from .baseline import Baseline


class VisualBERTForRelationExtraction(Baseline):
    r"""
    The VisualBERT encoder of transformers, initialised from a BERT. (VisualBERT's own weights require BERT-base and the
    2,048-channel features of a region detector.) As a region is one token in the paper, each image and each object is
    one token here: the mean over its patches in the last layer of the vision encoder.
    """

    def __init__(self, config):
        super().__init__(config)
        # Hidden states of vision transformers differ by orders of magnitude between channels.
        self.norm = nn.LayerNorm(config.vision_config.hidden_size)
        self.post_init()

    def make_text_encoder(self, config) -> nn.Module:
        if config.text_config.model_type != "bert":
            raise ValueError(
                f"VisualBERT's encoder is initialised from a BERT; `text_config` is of type "
                f"{config.text_config.model_type!r}. Use a BERT as text model."
            )
        values = {name: value for name, value in config.text_config.to_dict().items() if name != "model_type"}
        visual = VisualBertConfig(**values, visual_embedding_dim=config.vision_config.hidden_size)
        return VisualBertModel(visual, add_pooling_layer=False)

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        visual = {}
        if images is not None:
            regions = images.maps[-1].mean(dim=(2, 3)).unsqueeze(1)  # (N, 1, d_v)
            embeds, there = images.tokens_of_posts(self.norm(regions))  # (B, S, d_v)
            visual = {"visual_embeds": embeds, "visual_attention_mask": there.to(mask.dtype)}
        return self.text_encoder(input_ids=ids, attention_mask=mask, token_type_ids=types, **visual).last_hidden_state

"""MTB-style: BERT with entity markers (Baldini Soares et al., ACL 2019), without its pre-training on entity links."""

import torch

from .baseline import Baseline


class MTBForRelationExtraction(Baseline):
    """The text, with `use_caption` also the caption; no images (`use_vision=False`)."""

    reads_image = False
    reads_objects = False

    def __init__(self, config):
        super().__init__(config)
        self.post_init()

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        return self.text_encoder(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state

"""BERT + objects, with and without attention: the text baselines with scene graphs of MEGA's paper (2021)."""

import torch
from torch import nn

from tgdi_hf.modeling.devices import on_device_of
from tgdi_hf.modeling.result_fusion import at_markers

from .baseline import Baseline, level_widths


def masked_mean(values: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
    """The mean over those of `values` `(B, m, d)` that exist (`there`, `(B, m)`); zero for a post without any."""
    there = there.unsqueeze(-1).to(values.dtype)
    return (values * there).sum(dim=1) / there.sum(dim=1).clamp(min=1)


class ObjectAttention(nn.Module):
    """Objects attend to the tokens of their post, with one head: `softmax(W_q V (W_k H')ᵀ / √width) W_v H'`."""

    def __init__(self, width: int):
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(width, width) for _ in range(3))

    def forward(self, objects: torch.Tensor, tokens: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """From objects `(B, m, width)`, tokens `(B, L, width)` and their mask `(B, L)` to `(B, m, width)`."""
        scores = self.query(objects) @ self.key(tokens).mT / tokens.shape[-1] ** 0.5  # (B, m, L)
        shares = scores.masked_fill(mask[:, None, :] == 0, torch.finfo(scores.dtype).min).softmax(dim=-1)
        return shares @ self.value(tokens)


class BertObjectsForRelationExtraction(Baseline):
    r"""
    The entities beside the mean of the objects: our substitute for BERT + SG, for which there is no code. Its scene
    graphs come from a detector, and it seems to use their objects without their edges.

    Our reading: the entities are the states at the two opening markers. An object is the mean over its patches in the
    last layer of the vision encoder, normalised; it may come from any detector.

    Args:
        config (`BaselineConfig`): Configuration of the model; a ResNet or a vision transformer.
    """

    reads_image = False
    reads_resnet = True

    def __init__(self, config):
        super().__init__(config)
        width, d_v = 2 * config.text_config.hidden_size, level_widths(config.vision_config)[-1]
        self.norm = nn.LayerNorm(d_v)
        self.objects = nn.Linear(d_v, width)
        self.fusion = nn.Linear(2 * width, width)
        self.add_parts(width)
        self.post_init()

    def add_parts(self, width: int) -> None:
        """Modules that subclasses add, before the weights are initialised."""

    def entities(self, ids, mask, types, images, head_index, tail_index, **own) -> torch.Tensor:
        h = self.text_encoder(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
        t = at_markers(h, head_index, tail_index)  # (B, 2 d)
        if images is None:
            v = torch.zeros_like(t)
        else:
            objects, there = images.objects_of_posts(self.objects(self.norm(images.regions())))  # (B, m, 2 d)
            v = self.visual(objects, there, on_device_of(h, objects), on_device_of(mask, objects), **own)
        return self.fusion(torch.cat([t, on_device_of(v, t)], dim=-1))

    def visual(self, objects, there, h, mask) -> torch.Tensor:
        r"""
        Args:
            objects (`torch.Tensor`): `(B, m, 2 d)`.
            there (`torch.Tensor`): `(B, m)`, true where the object exists.
            h (`torch.Tensor`): States of the text, `(B, L, d)`.
            mask (`torch.Tensor`): `(B, L)`, zero at padding.

        Returns:
            `torch.Tensor`: `(B, 2 d)`.
        """
        return masked_mean(objects, there)


class BertObjectsAttentionForRelationExtraction(BertObjectsForRelationExtraction):
    """With the mean over what each object attends to in the text: our substitute for BERT + SG + Att."""

    def add_parts(self, width: int) -> None:
        self.tokens = nn.Linear(width // 2, width)  # H'
        self.attention = ObjectAttention(width)

    def visual(self, objects, there, h, mask) -> torch.Tensor:
        return masked_mean(self.attention(objects, self.tokens(h), mask), there)

"""MEGA: text and image aligned by meaning and by graph structure (Zheng et al., ACM Multimedia 2021)."""

import torch
from huggingface_hub.dataclasses import strict
from torch import nn

from tgdi_hf.modeling.devices import on_device_of

from .baseline import BaselineConfig
from .bert_objects import BertObjectsForRelationExtraction, ObjectAttention
from .dependency_trees import CHAIN
from .mega_processor import MEGAProcessor


@strict
class MEGAConfig(BaselineConfig):
    r"""
    Args:
        trees (`str`, *optional*, defaults to `"chain"`):
            The dependency trees of the processor, see `MEGAProcessor`; `"chain"` is the substitute without a parser,
            and a result with it is one of "MEGA-style, chain trees, geometric edges".
    """

    model_type = "mre_mega"

    trees: str = CHAIN


class MEGAForRelationExtraction(BertObjectsForRelationExtraction):
    r"""
    The objects read the text twice, by attention and by the likeness of their places in two graphs, and are summed up
    beside the entities.

    Our reading: the entities are the states at the two opening markers; edges between objects come from the geometry of
    their boxes, since no scene-graph generator is maintained, so name it "MEGA-style, geometric edges". Not taken from
    the release: there a matrix stored as (128, 10) is read as (10, 128) without a transpose, and each access to a
    sample inserts five rows of zeros into its cached list, so that the published F1 says nothing about the alignment.

    Args:
        config (`MEGAConfig`): Configuration of the model; a ResNet or a vision transformer.
    """

    reads_boxes = True
    config_class = MEGAConfig
    processor_class = MEGAProcessor
    processor_options = ("trees",)
    own_inputs = ("structure",)

    def add_parts(self, width: int) -> None:
        self.tokens = nn.Linear(width // 2, width)  # H'
        self.attention = ObjectAttention(width)
        self.alignment = nn.Linear(2 * width, width)

    def visual(self, objects, there, h, mask, structure=None) -> torch.Tensor:
        r"""
        As in the base class, with `structure` `(B, m, L)`, which `MEGAProcessor` returns; `None` with a blank image.

        Raises:
            ValueError: `structure` has another shape.
        """
        expected = (*there.shape, h.shape[1])
        if structure is None:
            structure = h.new_zeros(expected)
        if structure.shape != expected:
            raise ValueError(
                f"`structure` is of shape {tuple(structure.shape)}; expected {expected}: as `MEGAProcessor` returns it."
            )
        tokens = self.tokens(h)  # (B, L, 2 d)
        semantic = self.attention(objects, tokens, mask).sigmoid()  # (B, m, 2 d)
        structural = on_device_of(structure, tokens).to(tokens.dtype) @ tokens
        aligned = self.alignment(torch.cat([semantic, on_device_of(structural, semantic)], dim=-1))
        return (aligned * on_device_of(there, aligned).unsqueeze(-1)).sum(dim=1)

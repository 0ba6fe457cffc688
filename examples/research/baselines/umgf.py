"""UMGF: unified multimodal graph fusion (Zhang et al., AAAI 2021), whose entity recognizer reads relations here."""

import torch
from torch import nn

from tgdi_hf.modeling.devices import on_device_of

from .baseline import Baseline, level_widths

SIZE, HIDDEN, HEADS, LAYERS = 512, 256, 8, 6
DROPOUT = 0.4  # of the projected objects


class GraphFusionLayer(nn.Module):
    r"""
    One layer over a graph of words and objects: self-attention in each, gated sums between them, feed-forward.

    Args:
        last (`bool`): Whether no layer follows, so that the objects need not be updated from the words.
    """

    def __init__(self, last: bool = False):
        super().__init__()
        self.last = last
        kinds = 1 if last else 2
        self.attentions = nn.ModuleList([nn.MultiheadAttention(SIZE, HEADS, batch_first=True) for _ in range(2)])
        self.gates = nn.ModuleList([nn.Linear(2 * SIZE, SIZE) for _ in range(kinds)])  # W₁ and W₂
        self.feed_forwards = nn.ModuleList(
            [nn.Sequential(nn.Linear(SIZE, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, SIZE)) for _ in range(kinds)]
        )
        self.norms = nn.ModuleList([nn.LayerNorm(SIZE) for _ in range(2 + 2 * kinds)])

    def forward(
        self, x: torch.Tensor, o: torch.Tensor, words: torch.Tensor, objects: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        r"""
        Args:
            x (`torch.Tensor`): Words, `(B, L, 512)`.
            o (`torch.Tensor`): Objects, `(B, m, 512)`.
            words, objects (`torch.Tensor`): `(B, L)` and `(B, m)`, true where the node exists.

        Returns:
            Both, updated; in the last layer the objects are not. Rows of nodes that do not exist are arbitrary.
        """
        x = self.norms[0](x + self.within(0, x, words))
        o = self.norms[1](o + self.within(1, o, objects))
        sums = self.between(x, o, words, objects)  # both from the states before the update
        x = self.norms[2](x + sums[0])
        x = self.norms[3](x + self.feed_forwards[0](x))
        if not self.last:
            o = self.norms[4](o + sums[1])
            o = self.norms[5](o + self.feed_forwards[1](o))
        return x, o

    def within(self, kind: int, nodes: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        # A post without objects attends to all empty slots instead of none, whose softmax would not be a number.
        hidden = ~(there | ~there.any(dim=1, keepdim=True))
        return self.attentions[kind](nodes, nodes, nodes, key_padding_mask=hidden, need_weights=False)[0]

    def between(
        self, x: torch.Tensor, o: torch.Tensor, words: torch.Tensor, objects: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        r"""
        The gated sums `Σ_j σ(W₁ [x_i; o_j]) ⊙ o_j` `(B, L, 512)` and, unless this is the last layer,
        `Σ_i σ(W₂ [x_i; o_j]) ⊙ x_i` `(B, m, 512)`, over the nodes that exist.
        """
        gates = []
        for layer in self.gates:
            of_x, of_o = layer.weight.split(SIZE, dim=1)  # W [x; o] = W_x x + W_o o, once per node instead of per pair
            pairs = nn.functional.linear(x, of_x).unsqueeze(2) + nn.functional.linear(o, of_o, layer.bias).unsqueeze(1)
            gates.append(pairs.sigmoid())  # (B, L, m, 512)
        x_of_o = torch.einsum("blmd,bmd->bld", gates[0], o * objects.unsqueeze(-1))
        if self.last:
            return (x_of_o,)
        return x_of_o, torch.einsum("blmd,bld->bmd", gates[1], x * words.unsqueeze(-1))


class UMGFForRelationExtraction(Baseline):
    r"""
    Words and objects are the nodes of a graph, and exchange gated sums in six layers.

    Our reading: UMGF labels words, so the states at the two opening markers are our head. The original asks a grounder
    for one object per entity type; these are the first objects of a post. An object is the mean over its patches in
    the last layer of the vision encoder, normalised.

    Args:
        config (`BaselineConfig`): Configuration of the model; a ResNet or a vision transformer.
    """

    reads_image = False
    reads_resnet = True

    def __init__(self, config):
        super().__init__(config)
        width = level_widths(config.vision_config)[-1]
        self.words = nn.Linear(config.text_config.hidden_size, SIZE)
        self.norm = nn.LayerNorm(width)
        self.objects = nn.Sequential(
            nn.Linear(width, SIZE),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(SIZE, SIZE),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
        )
        self.layers = nn.ModuleList([GraphFusionLayer(last=i == LAYERS - 1) for i in range(LAYERS)])
        self.post_init()

    @property
    def classifier_width(self) -> int:
        return 2 * (self.config.text_config.hidden_size + SIZE)

    def encode(self, ids, mask, types, images) -> torch.Tensor:
        """`(B, L, d + 512)`: the states of the text encoder, and those of the graph."""
        h = self.text_encoder(input_ids=ids, attention_mask=mask, token_type_ids=types).last_hidden_state
        x = self.words(h)
        if images is None:  # one empty slot per post
            o, there = x.new_zeros(x.shape[0], 1, SIZE), mask.new_zeros(x.shape[0], 1, dtype=torch.bool)
        else:
            o, there = images.objects_of_posts(self.objects(self.norm(images.regions())))  # (B, m, 512)
        for layer in self.layers:
            x, o = layer(x, o, mask.bool(), there)
        return torch.cat([h, on_device_of(x, h)], dim=-1)

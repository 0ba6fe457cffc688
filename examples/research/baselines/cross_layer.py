"""A BERT layer whose keys and values may come from other states than its queries."""

import torch
from torch import nn
from transformers.activations import ACT2FN


class CrossLayer(nn.Module):
    r"""
    Multi-head attention and feed-forward, each with dropout, residual and norm, as in BERT.

    Args:
        text_config: The configuration of the text encoder, for width, heads, dropout and activation.
    """

    def __init__(self, text_config):
        super().__init__()
        d = text_config.hidden_size
        self.num_heads = text_config.num_attention_heads
        self.attention_dropout = text_config.attention_probs_dropout_prob
        self.query, self.key, self.value, self.output = (nn.Linear(d, d) for _ in range(4))
        self.up = nn.Linear(d, text_config.intermediate_size)
        self.activation = ACT2FN[text_config.hidden_act]
        self.down = nn.Linear(text_config.intermediate_size, d)
        self.norms = nn.ModuleList([nn.LayerNorm(d, eps=text_config.layer_norm_eps) for _ in range(2)])
        self.dropout = nn.Dropout(text_config.hidden_dropout_prob)

    def forward(self, states: torch.Tensor, others: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        r"""
        Args:
            states (`torch.Tensor`): The queries, `(B, n, d)`.
            others (`torch.Tensor`): The source of keys and values, `(B, k, d)`.
            mask (`torch.Tensor`): `(B, k)`, zero where there is nothing to attend to. Where a whole row is zero, the
                result is finite and arbitrary.

        Returns:
            `torch.Tensor`: `(B, n, d)`.
        """
        q, k, v = (
            layer(x).unflatten(-1, (self.num_heads, -1)).transpose(1, 2)  # (B, heads, n or k, d_h)
            for layer, x in ((self.query, states), (self.key, others), (self.value, others))
        )
        bias = torch.zeros_like(mask, dtype=q.dtype).masked_fill(mask == 0, torch.finfo(q.dtype).min)
        dropout = self.attention_dropout if self.training else 0.0
        context = nn.functional.scaled_dot_product_attention(q, k, v, bias[:, None, None, :], dropout)
        attended = self.dropout(self.output(context.transpose(1, 2).flatten(2)))
        states = self.norms[0](states + attended)
        return self.norms[1](states + self.dropout(self.down(self.activation(self.up(states)))))

import torch
from transformers import BertConfig
from transformers.models.bert.modeling_bert import BertLayer

from examples.research.baselines.cross_layer import CrossLayer

CONFIG = BertConfig(
    hidden_size=8, num_attention_heads=2, intermediate_size=16, hidden_dropout_prob=0.0, attn_implementation="eager"
)


def test_with_its_own_states_it_is_a_bert_layer():
    torch.manual_seed(0)
    ours, theirs = CrossLayer(CONFIG).eval(), BertLayer(CONFIG).eval()
    attention = theirs.attention
    for own, other in (
        (ours.query, attention.self.query),
        (ours.key, attention.self.key),
        (ours.value, attention.self.value),
        (ours.output, attention.output.dense),
        (ours.norms[0], attention.output.LayerNorm),
        (ours.up, theirs.intermediate.dense),
        (ours.down, theirs.output.dense),
        (ours.norms[1], theirs.output.LayerNorm),
    ):
        own.load_state_dict(other.state_dict())
    states, mask = torch.randn(2, 5, 8), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    bias = (mask == 0)[:, None, None, :] * torch.finfo(torch.float32).min
    expected = theirs(states, bias)
    expected = expected[0] if isinstance(expected, tuple) else expected
    torch.testing.assert_close(ours(states, states, mask), expected)


def test_a_row_without_anything_to_attend_to_is_finite():
    layer = CrossLayer(CONFIG)
    found = layer(torch.randn(1, 3, 8), torch.randn(1, 4, 8), torch.zeros(1, 4, dtype=torch.long))
    found.sum().backward()
    assert found.isfinite().all() and all(p.grad.isfinite().all() for p in layer.parameters())

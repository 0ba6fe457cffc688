import numpy as np
import pytest
import torch

from tgdi_hf.modeling.matching_gate import MatchingGate, TextSelfAttention
from tgdi_hf.modeling.tgdi_inputs import Pictures

from .conftest import tiny_config
from .test_visual_prompts import gelu, linear


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


@pytest.mark.parametrize("residual", [True, False])
def test_self_attention_is_equation_7(residual):
    torch.manual_seed(0)
    module = TextSelfAttention(tiny_config(self_attention_residual=residual))
    text, mask = torch.randn(2, 5, 32), torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    got = module(text, mask).detach().numpy()
    for row, length in enumerate((5, 3)):
        h = text[row].double().numpy()
        q, k, v = (h @ layer.weight.detach().double().numpy().T for layer in (module.query, module.key, module.value))
        expected = softmax(q @ k[:length].T / np.sqrt(32)) @ v[:length]
        if residual:
            total = h + expected
            expected = (total - total.mean(-1, keepdims=True)) / np.sqrt(total.var(-1, keepdims=True) + 1e-12)
        np.testing.assert_allclose(got[row], expected, atol=1e-5)


def test_gate_is_equations_8_to_10():
    torch.manual_seed(0)
    module = MatchingGate(tiny_config())
    patches, text = torch.randn(2, 4, 24), torch.randn(3, 5, 32)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]])
    index = torch.tensor([[0, 1], [1, 0], [0, 0]])
    exists = torch.tensor([[True, True], [True, False], [False, False]])
    gate, similarity = module(Pictures(patches[:, None], patches, index, exists), text, mask)
    gate, similarity = gate.detach().numpy(), similarity.detach().numpy()

    x = patches.double().numpy()
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    projected = linear(x, module.projection)
    for row, (pictures, length) in enumerate((([0, 1], 5), ([1], 3))):
        v, h = np.concatenate([projected[i] for i in pictures]), text[row, :length].double().numpy()
        a = softmax(v @ h.T)  # Eq. 8
        c = a @ h  # Eq. 9
        m = np.concatenate([v, c, v * c], axis=1).mean(0)
        m = 1 / (1 + np.exp(-linear(gelu(linear(m, module.mlp[0])), module.mlp[2])))  # Eq. 10
        np.testing.assert_allclose(gate[row], m, atol=1e-5)
        np.testing.assert_allclose(similarity[row, : len(v), :length], a, atol=1e-5)
        assert (similarity[row, len(v) :] == 0).all()
        assert (similarity[row, :, length:] == 0).all()
    assert (gate[2] == 1).all()  # no picture: nothing is taken away

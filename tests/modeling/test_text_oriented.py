import numpy as np
import pytest
import torch

from tgdi_hf.modeling.text_oriented import EncoderReference

from .conftest import tiny_model
from .test_visual_prompts import gelu, linear


def norm(x, layer):
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + layer.eps)
    return x * layer.weight.detach().double().numpy() + layer.bias.detach().double().numpy()


@pytest.mark.parametrize("share", [True, False])
def test_text_oriented_interaction_is_equations_12_and_13(share):
    """One layer by hand: queries from the text, keys and values from the gated states and the text."""
    model = tiny_model(toi_num_layers=1, toi_share_text_encoder=share)
    module, encoder = model.tgdi.text_oriented, model.tgdi.text_encoder
    layer = encoder.encoder.layer[-1] if share else module.layers[0]
    torch.manual_seed(1)
    text, gated = torch.randn(1, 4, 32), torch.randn(1, 6, 32)
    mask, gated_mask = torch.ones(1, 4), torch.tensor([[1, 1, 1, 1, 1, 0]])
    got, _, _ = module(text, mask, gated, gated_mask, EncoderReference(encoder))

    h = text[0].double().numpy()
    prefix = linear(gated[0, :5].double().numpy(), module.prefix.layers[0])  # {β^k, β^v} without padding
    attention = layer.attention.self
    q, k, v = (linear(h, part) for part in (attention.query, attention.key, attention.value))  # Eq. 12
    k, v = np.concatenate([prefix[:, :32], k]), np.concatenate([prefix[:, 32:], v])
    mixed = np.zeros_like(h)
    for head in range(4):  # Eq. 13
        part = slice(8 * head, 8 * head + 8)
        scores = np.exp(q[:, part] @ k[:, part].T / np.sqrt(8))
        mixed[:, part] = scores / scores.sum(1, keepdims=True) @ v[:, part]
    x = norm(linear(mixed, layer.attention.output.dense) + h, layer.attention.output.LayerNorm)
    expected = norm(linear(gelu(linear(x, layer.intermediate.dense)), layer.output.dense) + x, layer.output.LayerNorm)
    np.testing.assert_allclose(got[0].detach().numpy(), expected, atol=1e-4)


def test_layers_are_initialised_from_the_top_of_the_text_encoder():
    model = tiny_model(toi_num_layers=2, toi_share_text_encoder=False)
    module, encoder = model.tgdi.text_oriented, model.tgdi.text_encoder
    module.init_from(encoder)
    for layer, source in zip(module.layers, encoder.encoder.layer[1:], strict=True):
        for (name, value), (_, other) in zip(layer.state_dict().items(), source.state_dict().items(), strict=True):
            assert torch.equal(value, other), name
            assert value.data_ptr() != other.data_ptr()


def test_shared_layers_add_only_the_prefix_weights():
    model = tiny_model(toi_num_layers=3, toi_share_text_encoder=True)
    assert {name.split(".")[0] for name, _ in model.tgdi.text_oriented.named_parameters()} == {"prefix"}


@pytest.mark.parametrize("share", [True, False])
def test_prefixes_are_initialised_as_keys_and_values_of_their_layers(share):
    """A text as its own prefix does not change the attention: every token occurs twice with the same weight."""
    model = tiny_model(toi_num_layers=2, toi_share_text_encoder=share)
    module, encoder = model.tgdi.text_oriented, model.tgdi.text_encoder
    module.init_from(encoder)
    text, mask = torch.randn(2, 5, 32), torch.ones(2, 5)
    first = encoder.encoder.layer[1]
    alone = first(text, torch.ones(2, 1, 5, 5, dtype=torch.bool))
    _, states, _ = module(text, mask, text, mask, EncoderReference(encoder), output_hidden_states=True)
    torch.testing.assert_close(states[1], alone)

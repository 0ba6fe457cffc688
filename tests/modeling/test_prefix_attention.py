import copy
import pickle
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch

from tgdi_hf.modeling.prefix_attention import CACHE, PrefixCache, PrefixProjection, attention_bias

from .conftest import TEXT_CONFIGS, prefixed_with, tiny_inputs, tiny_model


def test_projection_is_one_linear_map_per_layer():
    torch.manual_seed(0)
    projection = PrefixProjection(hidden_size=4, num_layers=2)
    shared, own = torch.randn(3, 5, 4), torch.randn(3, 2, 5, 4)
    for features, of_layer in ((shared, lambda i: shared), (own, lambda i: own[:, i])):
        out = projection(features).detach().numpy()
        for i, layer in enumerate(projection.layers):
            weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            np.testing.assert_allclose(out[:, i], of_layer(i).numpy() @ weight.T + bias, atol=1e-6)


def test_the_cache_prepends_the_prefix_of_a_layer_and_stores_nothing():
    prefix = torch.arange(2 * 3 * 2 * 8.0).view(2, 3, 2, 8)  # two rows, three layers, two positions, d = 4
    cache = PrefixCache(prefix, torch.ones(2, 2), num_heads=2, first_layer=5)
    states = torch.zeros(2, 2, 1, 2)
    for _ in range(2):
        keys, values = cache.update(states, states, 6)
        assert keys.shape == values.shape == (2, 2, 3, 2)
        # Row 0, layer 1, position 0: four key and four value numbers, of which head 1 has the last two each.
        assert keys[0, 1, 0].tolist() == prefix[0, 1, 0, 2:4].tolist()
        assert values[0, 1, 0].tolist() == prefix[0, 1, 0, 6:8].tolist()
        assert keys[0, 1, 2].tolist() == [0.0, 0.0]
    assert cache.get_seq_length() == 0


def test_attention_bias_hides_padding_and_masked_prefixes():
    mask = torch.tensor([[1, 1, 0]])
    prefix = PrefixCache(torch.zeros(1, 1, 2, 8), torch.tensor([[1, 0]]), num_heads=2)
    visible = attention_bias(mask, prefix, torch.float32, "sdpa")
    assert visible.shape == (1, 1, 3, 5)
    assert visible[0, 0, 0].tolist() == [True, False, True, True, False]
    bias = attention_bias(mask, prefix, torch.bfloat16, "eager")
    assert bias.dtype == torch.bfloat16
    assert torch.equal(bias == 0, visible)
    assert attention_bias(mask, None, torch.float32, "sdpa").shape == (1, 1, 3, 3)


def test_attention_bias_takes_weights_of_keys_or_of_pairs():
    mask = torch.tensor([[1, 1, 0]])
    of_keys = attention_bias(mask, None, torch.float32, "sdpa", torch.tensor([[1.0, 0.5, 1.0]]))
    lowest, half = torch.finfo(torch.float32).min, torch.tensor(0.5).log().item()
    assert of_keys[0, 0].tolist() == [[0.0, half, lowest]] * 3
    of_pairs = torch.tensor([[[1.0, 0.0, 1.0], [0.5, 1.0, 1.0], [1.0, 1.0, 1.0]]])
    bias = attention_bias(mask, None, torch.float32, "eager", of_pairs)
    assert bias[0, 0].tolist() == [[0.0, -torch.inf, lowest], [half, 0.0, lowest], [0.0, 0.0, lowest]]


@pytest.mark.parametrize("text", ["bert", "roberta", "xlm-roberta", "camembert", "electra"])
def test_attention_over_the_prefix_is_equation_6(text):
    """The first layer of a real encoder against NumPy: softmax(Q [α^k; K]ᵀ / √d_h) [α^v; V], head by head."""
    model = tiny_model(text=text)
    encoder = model.tgdi.text_encoder
    attention = encoder.encoder.layer[0].attention.self
    torch.manual_seed(3)
    hidden, prefix = torch.randn(2, 6, 32), torch.randn(2, 3, 4, 64)
    mask, prefix_mask = torch.tensor([[1] * 6, [1] * 4 + [0] * 2]), torch.tensor([[1, 1, 1, 1], [1, 0, 0, 1]])
    cache = PrefixCache(prefix, prefix_mask, num_heads=4)
    got, _ = attention(hidden, attention_bias(mask, cache, hidden.dtype, "sdpa"), **{CACHE: cache})

    project = lambda layer: hidden.numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()  # noqa: E731
    query, key, value = (project(layer) for layer in (attention.query, attention.key, attention.value))
    key = np.concatenate([prefix[:, 0, :, :32].numpy(), key], axis=1)
    value = np.concatenate([prefix[:, 0, :, 32:].numpy(), value], axis=1)
    visible = np.concatenate([prefix_mask.numpy(), mask.numpy()], axis=1).astype(bool)
    expected = np.zeros((2, 6, 32))
    for row in range(2):
        for head in range(4):
            part = slice(8 * head, 8 * head + 8)
            scores = query[row, :, part] @ key[row, :, part].T / np.sqrt(8)
            weights = np.exp(scores) * visible[row]
            expected[row, :, part] = weights / weights.sum(1, keepdims=True) @ value[row, :, part]
    np.testing.assert_allclose(got.detach().numpy(), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("text", "share", "repeats"),
    [("bert", False, 5), *((text, True, 5 if text == "bert" else 1) for text in TEXT_CONFIGS)],
)
def test_attentions_of_concurrent_calls_do_not_mix(text, share, repeats):
    """Compares up to a hundred concurrent calls on different posts with the same calls in sequence."""
    model = tiny_model(text=text, toi_share_text_encoder=share, attn_implementation="eager")
    batches = [tiny_inputs(batch=2, length=8 + seed % 4, seed=seed) for seed in range(20)]

    def run(inputs):
        with torch.no_grad():
            outputs = model(**inputs, output_attentions=True, output_hidden_states=[0, -1])
        states = outputs.cross_modal_hidden_states + outputs.text_oriented_hidden_states
        return outputs.cross_modal_attentions + outputs.text_oriented_attentions + states

    alone = [run(inputs) for inputs in batches]
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    try:
        with ThreadPoolExecutor(8) as pool:
            together = list(pool.map(run, batches * repeats))
    finally:
        sys.setswitchinterval(interval)
    for got, expected in zip(together, alone * repeats, strict=True):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert (one is None) == (other is None)
            if one is not None:
                torch.testing.assert_close(one, other)


@pytest.mark.parametrize("share", [True, False])
def test_attentions_under_activation_checkpointing(share):
    """Recomputing layers in the backward pass adds no attentions and changes no gradient."""
    inputs, found = tiny_inputs(), []
    for checkpointing in (False, True):
        model = tiny_model(toi_share_text_encoder=share, attn_implementation="eager").train()
        if checkpointing:
            model.activation_checkpointing_enable()
        outputs = model(**inputs, output_attentions=True)
        (outputs.logits.sum() + sum(a.square().sum() for a in outputs.text_oriented_attentions)).backward()
        gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        found.append((outputs.text_oriented_attentions, gradients))
    (attentions, gradients), (again, checkpointed) = found
    assert len(attentions) == len(again) == 2
    torch.testing.assert_close(attentions, again)
    assert gradients.keys() == checkpointed.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(checkpointed[name], gradient, msg=prefixed_with(name))


def test_copies_and_pickles_record_attentions():
    inputs, model = tiny_inputs(), tiny_model(attn_implementation="eager")
    expected = model(**inputs, output_attentions=True).text_oriented_attentions
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        torch.testing.assert_close(other(**inputs, output_attentions=True).text_oriented_attentions, expected)

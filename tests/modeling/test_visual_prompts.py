import math

import numpy as np
import torch

from tgdi_hf.modeling.tgdi_inputs import Images
from tgdi_hf.modeling.visual_prompts import VisualPrompts, grid_pool

from .conftest import tiny_config

gelu = np.vectorize(lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2))))


def linear(x, layer):
    return x @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()


def test_grid_pool_averages_cells_row_by_row():
    patches = torch.arange(16.0).view(1, 16, 1)  # 4 × 4 patches numbered row by row
    assert grid_pool(patches, rows=4, grid=1).tolist() == [[[7.5]]]
    assert grid_pool(patches, rows=4, grid=2).flatten().tolist() == [2.5, 4.5, 10.5, 12.5]
    assert grid_pool(patches, rows=2, grid=2).flatten().tolist() == [1.5, 5.5, 9.5, 13.5]  # 2 rows of 8


def test_equations_1_2_3_and_5():
    torch.manual_seed(0)
    config = tiny_config(prompt_grid=2)
    module = VisualPrompts(config)
    c, layers, d = 3, 3, 32
    pooled = torch.randn(2, c, 4, 24)
    index, mask = torch.tensor([[1, 0], [0, 0]]), torch.tensor([[True, True], [True, False]])
    cache, gates = module(Images(pooled, pooled[:, 0], index, mask))

    x = pooled.double().numpy()
    x = (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5)
    features = linear(linear(gelu(linear(x, module.mlp[0])), module.mlp[2]), module.conv)  # Eq. 1
    scores = linear(features.mean(axis=(1, 2)), module.gate)  # mean over layers and tokens
    scores = np.where(scores > 0, scores, 0.01 * scores).reshape(2, layers, c)  # Eq. 2
    gate = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)  # Eq. 3
    np.testing.assert_allclose(gates.detach().numpy(), gate[index.numpy()], atol=1e-6)
    for row in range(2):
        for layer in range(layers):
            for slot in range(2):
                image = index[row, slot]
                mixed = sum(gate[image, layer, i] * features[image, i] for i in range(c))
                expected = linear(mixed, module.prefix.layers[layer])  # Eq. 5: (G, 2 d)
                keys = cache.prefix_keys[layer][row, :, 4 * slot : 4 * slot + 4].transpose(0, 1).flatten(1)
                values = cache.prefix_values[layer][row, :, 4 * slot : 4 * slot + 4].transpose(0, 1).flatten(1)
                np.testing.assert_allclose(keys.detach().numpy(), expected[:, :d], atol=1e-5)
                np.testing.assert_allclose(values.detach().numpy(), expected[:, d:], atol=1e-5)
    assert cache.mask.tolist() == [[True] * 8, [True] * 4 + [False] * 4]

import itertools

import torch

from examples.research.baselines.umgf import HIDDEN, LAYERS, SIZE, GraphFusionLayer


def test_gated_sums_of_a_hand_worked_graph():
    layer = GraphFusionLayer()
    for gate, (of_word, of_object) in zip(layer.gates, ((1.0, 1.0), (2.0, 1.0))):
        torch.nn.init.zeros_(gate.bias)
        gate.weight.data[:, :SIZE], gate.weight.data[:, SIZE:] = of_word / SIZE, of_object / SIZE
    # Every channel of a node has the same value, so that each gate is σ of a weighted sum of both values.
    x = torch.tensor([1.0, 3.0, 9.0]).view(1, 3, 1).expand(1, 3, SIZE)  # the third word is padding
    o = torch.tensor([2.0, -1.0, 7.0]).view(1, 3, 1).expand(1, 3, SIZE)  # the third object does not exist
    there = torch.tensor([[True, True, False]])
    x_of_o, o_of_x = layer.between(x, o, there, there)

    def sigmoid(value):
        return 1 / (1 + 2.718281828459045**-value)

    of_words = [sigmoid(1 + 2) * 2 + sigmoid(1 - 1) * -1, sigmoid(3 + 2) * 2 + sigmoid(3 - 1) * -1]
    of_objects = [sigmoid(2 + 2) * 1 + sigmoid(6 + 2) * 3, sigmoid(2 - 1) * 1 + sigmoid(6 - 1) * 3]
    torch.testing.assert_close(x_of_o[0, :2], torch.tensor(of_words)[:, None].expand(2, SIZE), atol=1e-4, rtol=0)
    torch.testing.assert_close(o_of_x[0, :2], torch.tensor(of_objects)[:, None].expand(2, SIZE), atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_layer_equals_a_slow_one():
    torch.manual_seed(0)
    layer, words, objects = GraphFusionLayer(), torch.randn(1, 3, SIZE), torch.randn(1, 2, SIZE)
    x, o = (
        norm(nodes + attention(nodes, nodes, nodes)[0])[0]
        for norm, attention, nodes in zip(layer.norms, layer.attentions, (words, objects))
    )
    sums = torch.zeros_like(x), torch.zeros_like(o)
    for i, j in itertools.product(range(3), range(2)):
        gates = [gate(torch.cat([x[i], o[j]])).sigmoid() for gate in layer.gates]
        sums[0][i] += gates[0] * o[j]
        sums[1][j] += gates[1] * x[i]  # the word as it was before the objects' sum was added
    x, o = layer.norms[2](x + sums[0]), layer.norms[4](o + sums[1])
    expected = (
        layer.norms[3](x + layer.feed_forwards[0](x))[None],
        layer.norms[5](o + layer.feed_forwards[1](o))[None],
    )
    there = torch.ones(1, 3, dtype=torch.bool)
    torch.testing.assert_close(layer(words, objects, there, there[:, :2]), expected, atol=1e-4, rtol=1e-4)


def test_the_last_layer_leaves_the_objects_alone():
    x, o = torch.randn(2, 3, SIZE), torch.randn(2, 4, SIZE)
    there = torch.ones(2, 4, dtype=torch.bool)
    layers = [GraphFusionLayer(last) for last in (False, True)]
    assert not torch.allclose(layers[0](x, o, there[:, :3], there)[1], o)
    y, after = layers[1](x, o, there[:, :3], there)
    within = layers[1].norms[1](o + layers[1].within(1, o, there))
    assert y.shape == x.shape and torch.allclose(after, within)
    assert (LAYERS, layers[0].feed_forwards[1][0].out_features) == (6, HIDDEN)

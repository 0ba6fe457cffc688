import math

import pytest
import torch

from examples.research.baselines.bert_objects import ObjectAttention, masked_mean


def test_the_mean_is_over_objects_that_exist():
    values = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [9.0, 9.0]], [[4.0, 4.0], [5.0, 5.0], [6.0, 6.0]]])
    there = torch.tensor([[True, True, False], [False, False, False]])
    assert masked_mean(values, there).tolist() == [[2.0, 4.0], [0.0, 0.0]]


def test_attention_of_a_hand_worked_post():
    attention = ObjectAttention(2)
    for layer, scale in ((attention.query, 1.0), (attention.key, 2.0), (attention.value, 10.0)):
        layer.weight.data, layer.bias.data = scale * torch.eye(2), torch.zeros(2)
    objects = torch.tensor([[[1.0, 0.0]]])
    tokens = torch.tensor([[[1.0, 0.0], [0.0, 1.0], [50.0, 50.0]]])  # the third is padding
    # Scores 2 / √2 and 0 / √2.
    share = math.exp(math.sqrt(2)) / (math.exp(math.sqrt(2)) + 1)
    found = attention(objects, tokens, torch.tensor([[1, 1, 0]]))
    assert found[0, 0].tolist() == pytest.approx([10 * share, 10 * (1 - share)], rel=1e-5)

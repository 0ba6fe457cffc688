import math

import pytest
import torch

from examples.research.baselines import (
    BertObjectsAttentionForRelationExtraction,
    BertObjectsForRelationExtraction,
)
from examples.research.baselines.bert_objects import ObjectAttention, masked_mean

from .test_baselines import make
from .test_partial_images import full_inputs


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


@pytest.mark.parametrize("model_class", [BertObjectsForRelationExtraction, BertObjectsAttentionForRelationExtraction])
@torch.no_grad()
def test_a_post_equals_a_slow_one(model_class):
    model = make(model_class, use_caption=False)
    inputs = {name: value[:1] for name, value in full_inputs(model).items()}  # without padding, and with two objects
    h = model.text_encoder(inputs["input_ids"]).last_hidden_state[0]
    patches = model.vision_tower(inputs["pixel_values"][0, 1:], output_hidden_states=True).hidden_states[-1][:, 1:]
    objects = [model.objects(model.norm(of.mean(dim=0))) for of in patches]  # 2 d each
    if model_class is BertObjectsAttentionForRelationExtraction:
        tokens, attention = model.tokens(h), model.attention
        scores = [attention.key(tokens) @ attention.query(one) / math.sqrt(64) for one in objects]
        objects = [of.softmax(dim=0) @ attention.value(tokens) for of in scores]
    head, tail = h[inputs["head_index"][0]], h[inputs["tail_index"][0]]
    expected = model.classifier(model.fusion(torch.cat([head, tail, (objects[0] + objects[1]) / 2])))
    torch.testing.assert_close(model(**inputs).logits[0], expected, atol=1e-5, rtol=1e-4)

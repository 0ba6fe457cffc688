"""MKGformer: joint top layers of both encoders."""

from math import log

import pytest
import torch

from examples.research.baselines import BaselineConfig, MKGformerForRelationExtraction
from examples.research.baselines.mkgformer import CorrelationAwareFusion, num_fusion_layers

from ...modeling.conftest import TEXT_CONFIGS, VISION_CONFIGS, tiny_inputs
from . import joint_reference as slow
from .test_joint_layers import make, states_of


@pytest.mark.parametrize("width", [24, 32])  # 24: narrower than the text
@torch.no_grad()
def test_a_joint_layer_equals_a_slow_one(width):
    layers = {"num_hidden_layers": 2}
    model = make(MKGformerForRelationExtraction, vision_options={**layers, "hidden_size": width}, text_options=layers)
    assert len(model.fusions) == 1
    inputs = slow.one_post()
    below, text_layer = model.text_encoder.encoder.layer
    lower, vision_layer = model.vision_layers
    embedded = model.text_encoder.embeddings(inputs["input_ids"])[0]  # (L, d)
    keys, values = slow.bert_keys(below, embedded)
    text = slow.bert_rest(below, embedded, slow.bert_context(below, embedded, keys[:0], values[:0], heads=4))

    tokens = []
    for slot in (0, 2):
        image = lower(slow.clip_tokens(model.vision_tower, inputs["pixel_values"][0, slot])[None], None)[0]
        read = model.prefixes[0].keys(keys), model.prefixes[0].values(values)
        tokens.append(slow.clip_layer(vision_layer, image, *read, heads=4))
    visual = model.fusions[0].projection(torch.cat(tokens))  # (2 n, d)

    keys, values = slow.bert_keys(text_layer, text)
    context = slow.bert_context(text_layer, text, keys[:0], values[:0], heads=4)
    shares = (context @ visual.T).exp()
    shares = shares / shares.sum(dim=1, keepdim=True)
    expected = slow.bert_rest(text_layer, text, context, model.fusions[0].dense(shares @ visual))
    torch.testing.assert_close(states_of(model, inputs)[0], expected, atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_fusion_of_a_hand_worked_token():
    fusion = CorrelationAwareFusion(2, 2, 1)
    fusion.dense.weight.copy_(torch.tensor([[1.0, 10.0]]))
    fusion.dense.bias.fill_(0.5)
    # The scores of the first two patches are 0 and ln 3: shares of 1/4 and 3/4. The third belongs to an empty slot.
    context = torch.tensor([[[log(3), 0.0]]]).expand(2, -1, -1)
    visual = torch.tensor([[0.0, 4.0], [1.0, 2.0], [9.0, 9.0]]).expand(2, -1, -1)
    there = torch.tensor([[True, True, False], [False, False, False]])
    # 1/4 (0, 4) + 3/4 (1, 2) = (0.75, 2.5); 0.75 + 25 + 0.5. Without image not even the bias.
    torch.testing.assert_close(fusion(context, visual, there), torch.tensor([[[26.25]], [[0.0]]]))


def test_number_of_joint_layers():
    def number(text, vision, **options):
        config = BaselineConfig(
            text_config={**TEXT_CONFIGS["bert"].to_dict(), "num_hidden_layers": text},
            vision_config={**VISION_CONFIGS["vit"].to_dict(), "num_hidden_layers": vision},
            **options,
        )
        return num_fusion_layers(config)

    assert [number(12, 12), number(12, 3), number(4, 12), number(2, 1)] == [4, 3, 3, 1]
    assert number(12, 12, num_fusion_layers=11) == 11
    for wrong in (0, -1, 12):
        with pytest.raises(ValueError, match=f"`num_fusion_layers` is {wrong}; expected 1 to 11: .* 12 .* 12"):
            number(12, 12, num_fusion_layers=wrong)
    with pytest.raises(ValueError, match="is 4; expected 1 to 3"):
        number(12, 3, num_fusion_layers=4)
    with pytest.raises(ValueError, match="is 0; expected 1 to 0"):  # no layer before the joint ones
        number(1, 12)


def test_narrow_embeddings_are_projected():
    model = make(MKGformerForRelationExtraction, text="electra", text_options={"embedding_size": 8})
    assert model(**tiny_inputs()).logits.isfinite().all()

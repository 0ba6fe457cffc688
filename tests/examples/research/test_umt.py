import torch

from examples.research.baselines import UMTForRelationExtraction

from .test_baselines import inputs_for, make


def test_without_image_the_words_are_those_of_the_text_layer():
    model = make(UMTForRelationExtraction, use_caption=False)
    inputs = inputs_for(model, images=False)
    text = [inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")]
    h = model.text_encoder(*text).last_hidden_state
    states = model.encode(*text, None)
    torch.testing.assert_close(states[..., :32], model.text_layer(h, h, inputs["attention_mask"]))
    assert states.shape == (4, 9, 64) and not states[..., 32:].any()


def test_the_gate_scales_what_words_read_of_the_image():
    model = make(UMTForRelationExtraction, use_caption=False)
    inputs = inputs_for(model)
    images = model.levels(inputs["pixel_values"], inputs["image_mask"], None)
    text = [inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")]
    model.gate.weight.data.zero_()
    model.gate.bias.data.zero_()  # σ(0) = 1/2
    half = model.encode(*text, images)
    model.gate.bias.data.fill_(100.0)
    whole = model.encode(*text, images)
    torch.testing.assert_close(whole[..., 32:], 2 * half[..., 32:])
    assert torch.equal(whole[..., :32], half[..., :32])
    assert whole[..., 32:].flatten(1).any(dim=1).tolist() == [True, True, True, False]

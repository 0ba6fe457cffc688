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


def test_who_attends_to_whom():
    model = make(UMTForRelationExtraction, use_caption=False)
    inputs = {name: value[:3] for name, value in inputs_for(model).items()}  # the posts with an image
    images = model.levels(inputs["pixel_values"], inputs["image_mask"], None)
    calls = {}
    for layer in ("text_layer", "image_aware_words", "word_aware_image", "word_aware_words"):
        model.get_submodule(layer).register_forward_hook(
            lambda module, args, output, layer=layer: calls.update({layer: (*args, output)})
        )
    states = model.encode(*(inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")), images)
    (h, others, mask, r), (from_r, u, _, a) = calls["text_layer"], calls["image_aware_words"]
    (queries, to_r, to_mask, p), (again, to_p, _, q) = calls["word_aware_image"], calls["word_aware_words"]
    assert h is others and mask is to_mask is inputs["attention_mask"]
    assert from_r is r and to_r is r and again is r and to_p is p
    grid = torch.nn.functional.adaptive_avg_pool2d(images.maps[-1], 7).flatten(2).mT[images.index[:, 0]]
    torch.testing.assert_close(u, model.to_text(model.norm(grid)))  # U
    torch.testing.assert_close(queries, model.to_queries(model.norm(grid)))  # U'
    gate = model.gate(torch.cat([q, a], dim=-1)).sigmoid()
    torch.testing.assert_close(states, torch.cat([q, gate * a], dim=-1))


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

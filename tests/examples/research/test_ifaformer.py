"""IFAformer: layers of two transformers that attend to each other."""

import pytest
import torch

from examples.research.baselines import IFAformerForRelationExtraction
from examples.research.baselines.ifaformer import aligned_layers

from ...modeling.conftest import tiny_inputs
from . import joint_reference as slow
from .test_joint_layers import make, states_of


@pytest.mark.parametrize("width", [24, 32])  # 24: narrower than the text
@torch.no_grad()
def test_joint_layers_equal_slow_ones(width):
    layers = {"num_hidden_layers": 2}
    model = make(IFAformerForRelationExtraction, vision_options={**layers, "hidden_size": width}, text_options=layers)
    inputs = slow.one_post()
    (first, second), (low, high) = model.text_encoder.encoder.layer, model.vision_layers
    text = model.text_encoder.embeddings(inputs["input_ids"])[0]  # (L, d)
    images = [slow.clip_tokens(model.vision_tower, inputs["pixel_values"][0, slot]) for slot in (0, 2)]  # (n, d_v)

    def read_images(i, layer):
        keys, values = (torch.cat(parts) for parts in zip(*(slow.clip_keys(layer, image) for image in images)))
        return model.visual_prefixes[i].keys(keys), model.visual_prefixes[i].values(values)

    keys, values = slow.bert_keys(first, text)
    of_text = model.text_prefixes["0"].keys(keys), model.text_prefixes["0"].values(values)
    text = slow.bert_rest(first, text, slow.bert_context(first, text, *read_images("0", low), heads=4))
    images = [slow.clip_layer(low, image, *of_text, heads=4) for image in images]
    expected = slow.bert_rest(second, text, slow.bert_context(second, text, *read_images("1", high), heads=4))
    torch.testing.assert_close(states_of(model, inputs)[0], expected, atol=1e-5, rtol=1e-4)


def test_aligned_layers():
    assert aligned_layers(3, 3) == [[0], [1], [2]]
    assert aligned_layers(2, 4) == [[], [0], [], [1]]
    # 0.67, 1.33 and 2 of two vision layers.
    assert aligned_layers(3, 2) == [[0, 1], [2]]
    # 0.25, rounded to no layer, is beside the first; 0.5 is rounded up, and so is 1.5.
    assert aligned_layers(8, 2) == [[0, 1, 2, 3, 4], [5, 6, 7]]
    assert [len(readers) for readers in aligned_layers(6, 12)] == [0, 1] * 6


@pytest.mark.parametrize(("text", "vision"), [(2, 5), (4, 2), (1, 3), (3, 1)])
def test_encoders_of_different_depths(text, vision):
    model = make(
        IFAformerForRelationExtraction,
        text_options={"num_hidden_layers": text}, vision_options={"num_hidden_layers": vision},
    )  # fmt: skip
    assert model.num_lower_layers == (2 if (text, vision) in ((2, 5), (1, 3)) else 0)
    inputs = tiny_inputs()
    outputs = model(**inputs, labels=torch.tensor([0, 1, 2, 4]))
    outputs.loss.backward()
    missing = [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []
    changed = {**inputs, "pixel_values": -inputs["pixel_values"]}
    assert (model(**changed).logits - outputs.logits).abs().max() > 1e-4


@pytest.mark.parametrize(("text", "vision", "expected"), [(4, 2, 1), (2, 4, 0), (3, 3, 1)])
def test_a_vision_layer_reads_the_last_text_layer_beside_it(text, vision, expected):
    model = make(
        IFAformerForRelationExtraction,
        text_options={"num_hidden_layers": text}, vision_options={"num_hidden_layers": vision},
    )  # fmt: skip
    seen = []
    last = max(i for i, readers in enumerate(model.beside[:-1]) if readers)
    model.vision_layers[last].register_forward_hook(lambda layer, args, output: seen.append(output.sum()))
    model(**tiny_inputs())
    seen[0].backward()
    read = [layer.attention.self.value.weight.grad is not None for layer in model.text_encoder.encoder.layer]
    assert read == [i <= expected for i in range(text)]

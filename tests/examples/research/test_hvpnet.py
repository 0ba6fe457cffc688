"""HVPNeT: the choice of levels, pooling, gates, and the prefix of a post."""

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from transformers import BertConfig, ResNetConfig, ViTConfig

from examples.research.baselines import BaselineConfig, HVPNeTForRelationExtraction
from examples.research.baselines.baseline import VisualLevels
from examples.research.baselines.hvpnet import VisualPyramid, levels_of

from .posts import assert_equal_one_by_one, assert_every_image_counts, assert_padding_does_not_matter
from .test_baselines import RESNET, make


@pytest.mark.parametrize(("layers", "levels"), [(12, [3, 6, 9, 12]), (24, [6, 12, 18, 24]), (6, [1, 3, 4, 6]),
                                                (4, [1, 2, 3, 4]), (2, [1, 2])])  # fmt: skip
def test_four_evenly_spaced_layers_of_a_vision_transformer(layers, levels):
    assert levels_of(ViTConfig(num_hidden_layers=layers)) == levels


def test_the_stages_of_a_resnet_without_its_stem():
    assert levels_of(ResNetConfig()) == [1, 2, 3, 4]
    config = BaselineConfig(vision_config=ResNetConfig().to_dict(), num_labels=5)
    pyramid = VisualPyramid(config)
    shapes = [(layer.in_features, layer.out_features) for layer in pyramid.projection if hasattr(layer, "in_features")]
    assert shapes == [(3840, 800), (800, 4 * 2 * 768)]  # as in the release, for BERT-base and ResNet-50
    model = make(HVPNeTForRelationExtraction, "resnet")
    maps = model.maps(torch.rand(2, 3, 32, 32))
    assert [maps[level].shape[1] for level in model.pyramid.levels] == RESNET.hidden_sizes


def hand_worked_pyramid():
    """For a text width of 2 and one layer; part p is tanh of level p, times 1 and 2 (keys), 3 and 4 (values)."""
    text = BertConfig(hidden_size=2, num_hidden_layers=1, num_attention_heads=1, intermediate_size=2)
    vision = ResNetConfig(embedding_size=1, hidden_sizes=[1, 1, 1, 1], depths=[1, 1, 1, 1])
    config = dict(text_config=text.to_dict(), vision_config=vision.to_dict())
    pyramid = VisualPyramid(BaselineConfig(**config, num_labels=5, prefix_size=4))
    pyramid.load_state_dict({name: torch.zeros_like(value) for name, value in pyramid.state_dict().items()})
    pyramid.projection[0].weight.data = torch.eye(4)
    pyramid.projection[2].weight.data = torch.kron(torch.eye(4), torch.tensor([[1.0], [2.0], [3.0], [4.0]]))
    return pyramid


def hand_worked_images():
    """Level p is p / 10 on average in each quadrant, except for the first: there, level 2 is 1."""
    stem = torch.full((1, 1, 8, 8), 99.0)
    maps = [torch.full((1, 1, 4, 4), level / 10) for level in (1, 2, 3, 4)]
    maps[1][0, 0, :2, :2] = torch.tensor([[0.0, 2.0], [0.5, 1.5]])
    return VisualLevels([stem, *maps], torch.zeros(1, 2, dtype=torch.long), torch.tensor([[True, False]]))


def test_pooling_and_gates_of_a_hand_worked_image():
    pyramid = hand_worked_pyramid()
    # Scores 0, ln 2, ln 5 and -100 ln 2, of which LeakyReLU leaves -ln 2: weights as 1 to 2 to 5 to 1/2.
    ln = torch.tensor([2.0, 5.0]).log()
    pyramid.gates.bias.data = torch.stack([torch.tensor(0.0), ln[0], ln[1], -100 * ln[0]])
    prefix = pyramid(hand_worked_images())
    t = torch.tensor([0.1, 0.2, 0.3, 0.4, 1.0]).tanh()
    elsewhere = (t[0] + 2 * t[1] + 5 * t[2] + t[3] / 2) / 8.5
    first = (t[0] + 2 * t[4] + 5 * t[2] + t[3] / 2) / 8.5
    positions = torch.stack([first, elsewhere, elsewhere, elsewhere])
    assert prefix.prefix_keys.shape == (1, 1, 1, 8, 2)  # (layers, B, heads, 4 per slot, width)
    torch.testing.assert_close(prefix.prefix_keys[0, 0, 0, :4], positions[:, None] * torch.tensor([1.0, 2.0]))
    torch.testing.assert_close(prefix.prefix_values[0, 0, 0, :4], positions[:, None] * torch.tensor([3.0, 4.0]))
    assert prefix.mask.tolist() == [[True] * 4 + [False] * 4]


def test_gates_read_the_mean_part_at_each_position():
    pyramid = hand_worked_pyramid()
    # Part 2 is chosen by the first position's first channel, part 3 by the second's.
    pyramid.gates.weight.data[1, 0] = pyramid.gates.weight.data[2, 4] = 1.0
    prefix = pyramid(hand_worked_images())
    t = torch.tensor([0.1, 0.2, 0.3, 0.4, 1.0]).tanh()
    scores = torch.stack([t[0] * 0, (t[0] + t[4] + t[2] + t[3]) / 4, t[:4].mean(), t[0] * 0])
    torch.testing.assert_close(prefix.prefix_keys[0, 0, 0, 1, 0], scores.softmax(dim=0) @ t[:4])


def test_every_text_layer_has_gates_of_its_own():
    model = make(HVPNeTForRelationExtraction)
    images = model.levels(torch.randn(1, 1, 3, 32, 32), None, None)
    before = model.pyramid(images).prefix_keys
    model.pyramid.gates.weight.data[4:8] = 0  # those of the second layer
    model.pyramid.gates.bias.data[4:8] = torch.tensor([9.0, 0.0, 0.0, 0.0])
    changed = (model.pyramid(images).prefix_keys - before).abs().amax(dim=(1, 2, 3, 4)) > 1e-4
    assert changed.tolist() == [False, True, False]


@pytest.mark.parametrize("vision", ["clip_vision_model", "resnet"])
def test_rows_padding_and_images(vision):
    model = make(HVPNeTForRelationExtraction, vision)
    assert_equal_one_by_one(model)
    assert_padding_does_not_matter(model)
    assert_every_image_counts(model)


def test_a_prefix_needs_hidden_units():
    with pytest.raises(StrictDataclassClassValidationError, match="`prefix_size` is 0; expected 1 or more"):
        make(HVPNeTForRelationExtraction, prefix_size=0)

import pytest
import torch

from examples.research.baselines import BASELINES, MEGAConfig, MEGAForRelationExtraction, build_baseline

from .test_baselines import inputs_for, make


@pytest.fixture
def mega():
    return make(MEGAForRelationExtraction, use_caption=False)


def test_alignment_of_a_hand_worked_post(mega):
    width = 64
    objects, there = torch.zeros(1, 2, width), torch.tensor([[True, False]])
    h, mask = torch.zeros(1, 3, width // 2), torch.ones(1, 3)
    # Tokens are 1, 2 and 4 in every channel; attention is even, with value 0, so that σ is 1/2.
    mega.tokens.forward = lambda h: torch.tensor([1.0, 2.0, 4.0]).view(1, 3, 1).expand(1, 3, width)
    mega.attention.forward = lambda objects, tokens, mask: torch.zeros(1, 2, width)
    mega.alignment.weight.data = torch.cat([10 * torch.eye(width), torch.eye(width)], dim=1)
    mega.alignment.bias.data = torch.full((width,), 100.0)
    structure = torch.tensor([[[0.5, 0.25, 0.0], [9.0, 9.0, 9.0]]])
    # 10 · 1/2 + (0.5 · 1 + 0.25 · 2) + 100 of the one object that exists.
    found = mega.visual(objects, there, h, mask, structure)
    torch.testing.assert_close(found, torch.full((1, width), 106.0))


def test_the_structure_matters_and_must_fit(mega):
    inputs = inputs_for(mega)
    logits = mega(**inputs).logits
    changed = mega(**{**inputs, "structure": inputs["structure"] / 2}).logits
    assert ((changed - logits).abs().amax(dim=1) > 1e-4).tolist() == inputs["image_mask"].any(dim=1).tolist()
    for wrong in (inputs["structure"][:, :1], inputs["structure"][..., :-1]):
        with pytest.raises(ValueError, match=r"`structure` is of shape .*; expected \(4, 2, 9\)"):
            mega(**{**inputs, "structure": wrong})
    text = {name: value for name, value in inputs.items() if name not in ("pixel_values", "image_mask")}
    with pytest.raises(ValueError, match="`structure` was passed without `pixel_values`: pass both as MEGAProcessor"):
        mega(**text)
    del text["structure"], inputs["structure"]
    assert torch.equal(mega(**text, structure=None).logits, mega(**text).logits)
    for missing in ({}, {"structure": None}):
        with pytest.raises(ValueError, match="`structure` is missing; pass it as MEGAProcessor returns it"):
            mega(**inputs, **missing)


def test_r_drop_reads_the_structure_in_both_passes(mega):
    inputs, labels = inputs_for(mega), torch.tensor([0, 1, 2, 3])
    plain = mega(**inputs, labels=labels).loss
    mega.config.r_drop_weight = 1.0
    torch.testing.assert_close(mega.train()(**inputs, labels=labels).loss, plain)


def test_the_name_of_the_trees_is_in_configuration_and_processor(encoders):
    model, processor = build_baseline("mega", ["None", "a"], *encoders)
    assert isinstance(model.config, MEGAConfig)
    assert (model.config.trees, processor.trees, processor.num_objects) == ("chain", "chain", 10)
    assert model.config.classifier_dropout == BASELINES["mega"][1]["classifier_dropout"] == 0.5
    with pytest.raises((ImportError, ValueError), match="trees"):
        build_baseline("mega", ["None", "a"], *encoders, trees="no such pipeline")

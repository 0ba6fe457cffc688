import pytest
import torch
from datasets import Dataset

from examples.research.reproduce.caption_paths import CAPTION_PATHS, ChangedCaptions
from tgdi_hf import TGDICollator
from tgdi_hf.data.dataset_columns import undecoded

CAPTIONS = ["an image in bright colours", "a simple illustration", None, "a square picture"]


@pytest.fixture
def batches(corpus, processor):
    """The same four posts with an image: with captions, the third without, and without captions."""
    rows = [row for row in undecoded(corpus["train"]) if row["image"] is not None][:4]
    collate = TGDICollator(processor)
    given = ([{**row, "caption": caption} for row, caption in zip(rows, of)] for of in (CAPTIONS, [None] * 4))
    return [{name: value for name, value in collate(some).items() if name != "labels"} for some in given]


def outputs_of(model, path, inputs):
    model.tgdi.__class__ = CAPTION_PATHS[path]
    with torch.no_grad():
        return model.tgdi(**inputs)


def of_text(outputs, inputs):
    """f_1 at the tokens of T."""
    length = inputs["input_ids"].shape[1]
    return outputs.cross_modal_last_hidden_state[:, :length][inputs["attention_mask"].bool()]


def test_captions_for_the_gate_leave_the_encoded_text_alone(model, batches):
    captioned, plain = batches
    expected = outputs_of(model, "text", plain)
    found, as_published = outputs_of(model, "gate", captioned), outputs_of(model, "text", captioned)
    torch.testing.assert_close(of_text(found, captioned), of_text(expected, plain))
    assert not torch.allclose(of_text(as_published, captioned), of_text(expected, plain))
    differs = (found.matching_gate - expected.matching_gate).abs().amax(dim=1) > 1e-7
    assert differs.tolist() == [True, True, False, True]
    torch.testing.assert_close(as_published.matching_gate, expected.matching_gate)


def test_captions_in_their_own_pass_meet_the_text_in_its_interaction_only(model, batches):
    captioned, plain = batches
    expected, found = outputs_of(model, "text", plain), outputs_of(model, "own pass", captioned)
    torch.testing.assert_close(of_text(found, captioned), of_text(expected, plain))
    torch.testing.assert_close(found.matching_gate, expected.matching_gate)
    differs = (found.entity_states - expected.entity_states).abs().amax(dim=1) > 1e-6
    assert differs.tolist() == [True, True, False, True]
    # The states of a caption depend neither on the image nor on the text before it.
    imageless = {**captioned, "image_mask": torch.zeros_like(captioned["image_mask"])}
    other_text = {**captioned, "input_ids": captioned["input_ids"].clone()}
    other_text["enhanced_input_ids"] = captioned["enhanced_input_ids"].clone()
    for name in ("input_ids", "enhanced_input_ids"):
        other_text[name][:, 2] = 7
    lengths = captioned["attention_mask"].sum(dim=1, keepdim=True)
    positions = torch.arange(captioned["enhanced_input_ids"].shape[1])
    caption = captioned["enhanced_attention_mask"].bool() & (positions >= lengths)
    for inputs in (imageless, other_text):
        again = outputs_of(model, "own pass", inputs)
        states, changed = (some.cross_modal_last_hidden_state for some in (found, again))
        torch.testing.assert_close(states[caption], changed[caption])
        assert not torch.allclose(states[~caption], changed[~caption])


@pytest.mark.parametrize("path", ["gate", "own pass"])
def test_all_paths_agree_without_captions(model, batches, path):
    _, plain = batches
    expected = outputs_of(model, "text", plain)
    torch.testing.assert_close(outputs_of(model, path, plain).entity_states, expected.entity_states)


@pytest.mark.parametrize("path", ["gate", "own pass"])
def test_every_path_trains_the_same_parameters(model, batches, path):
    trained = []
    for one in ("text", path):
        model.tgdi.__class__ = CAPTION_PATHS[one]
        model.zero_grad(set_to_none=True)
        model.train()(**batches[0], labels=torch.tensor([0, 1, 2, 3])).loss.backward()
        gradients = {name: parameter.grad for name, parameter in model.named_parameters()}
        assert all(gradient.isfinite().all() for gradient in gradients.values() if gradient is not None)
        trained.append({name for name, gradient in gradients.items() if gradient is not None and gradient.any()})
    assert trained[0] == trained[1]


def test_weights_of_keys_remain_in_their_own_pass(model, batches):
    """With `gate_attention` the images lose weight where the gate is closed, whatever the path of the captions."""
    captioned, _ = batches
    model.tgdi.config.gate_attention = True
    found = {}
    for bias in (-20.0, 20.0):  # a closed gate and an open one
        torch.nn.init.constant_(model.tgdi.matching_gate.mlp[-1].bias, bias)
        found[bias] = of_text(outputs_of(model, "own pass", captioned), captioned)
    assert not torch.allclose(found[-20.0], found[20.0], atol=1e-4)


def test_captions_change_by_batch_and_seed():
    rows = Dataset.from_dict(
        {"id": [str(row) for row in range(400)], "caption": [None, "one", "two", "three"] * 100, "length": [1] * 400}
    )
    changed = rows.with_transform(ChangedCaptions(0.5, 0.25, seed=0))
    found = changed[:]["caption"]
    assert all(caption is None for caption in found[::4])
    pairs = [(before, after) for before, after in zip(rows["caption"][:], found) if before]
    dropped = sum(after is None for _, after in pairs)
    swapped = sum(after is not None and after != before for before, after in pairs)
    assert 115 < dropped < 185 and 45 < swapped < 105  # of 300: four standard deviations around 150 and 75
    assert changed[:]["caption"] == found and changed[:399]["caption"] != found[:399]
    assert rows.with_transform(ChangedCaptions(0.5, 0.25, seed=1))[:]["caption"] != found
    assert changed["length"][:] == [1] * 400  # `Trainer` reads the lengths before the batches
    alone = rows.with_transform(ChangedCaptions(0.0, 1.0, seed=0))
    assert alone[1]["caption"] == "one"  # no other caption to exchange it for

import pytest
import torch

from tgdi_hf.modeling.output_selection import keep_selected, selected_layers

from .conftest import tiny_inputs, tiny_model

PASSES = {
    "cross_modal_hidden_states": 4,
    "text_oriented_hidden_states": 3,
}  # of three text layers and two text-oriented layers


@pytest.mark.parametrize(
    ("selection", "kept"),
    [
        ([0, 2], {"cross_modal_hidden_states": {0, 2}, "text_oriented_hidden_states": {0, 2}}),
        ([-1], {"cross_modal_hidden_states": {3}, "text_oriented_hidden_states": {2}}),
        ([3], {"cross_modal_hidden_states": {3}, "text_oriented_hidden_states": set()}),
        ((1, -4), {"cross_modal_hidden_states": {0, 1}, "text_oriented_hidden_states": {1}}),
        (2, {"cross_modal_hidden_states": {2}, "text_oriented_hidden_states": {2}}),
        (0, {"cross_modal_hidden_states": {0}, "text_oriented_hidden_states": {0}}),
        (range(2), {"cross_modal_hidden_states": {0, 1}, "text_oriented_hidden_states": {0, 1}}),
    ],
)
@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("images", [True, False])
def test_indices_select_hidden_states_in_both_passes(selection, kept, share, images):
    model = tiny_model(toi_share_text_encoder=share)
    inputs = tiny_inputs(images=images)
    everything, some = model(**inputs, output_hidden_states=True), model(**inputs, output_hidden_states=selection)
    torch.testing.assert_close(some.logits, everything.logits)  # TGDI always reads all states of the vision encoder
    for name, count in PASSES.items():
        assert len(some[name]) == len(everything[name]) == count
        for number, (state, full) in enumerate(zip(some[name], everything[name], strict=True)):
            if number in kept[name]:
                torch.testing.assert_close(state, full)
            else:
                assert state is None, (name, number)


@pytest.mark.parametrize("selection", [False, [], None])
def test_an_empty_selection_returns_no_hidden_states(selection, inputs):
    outputs = tiny_model()(**inputs, output_hidden_states=selection)
    assert [outputs.get(name) for name in PASSES] == [None, None]


def test_the_configuration_can_select_hidden_states(inputs):
    outputs = tiny_model(output_hidden_states=[1])(**inputs)
    assert [state is None for state in outputs.text_oriented_hidden_states] == [True, False, True]
    assert [state is None for state in outputs.cross_modal_hidden_states] == [True, False, True, True]


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("all", "'all'; expected True, False, the index"),
        ([0.5], r"\[0\.5\]; expected True"),
        ([0, "1"], "expected True"),
        ([True], r"\[True\]; expected True"),
        ({"layers": [0]}, "expected True"),
        ([4], "hidden state 4; the text encoder has 4: expected -4 to 3"),
        (-5, "hidden state -5"),
    ],
)
def test_invalid_selections_are_rejected(selection, message, inputs):
    model = tiny_model()
    with pytest.raises(ValueError, match=message):
        model(**inputs, output_hidden_states=selection)
    with pytest.raises(Exception, match=message):
        tiny_model(output_hidden_states=selection)


@pytest.mark.parametrize("value", [[0], 1, "yes", (0, 1)])
def test_a_selection_of_attentions_is_rejected(value, inputs):
    model = tiny_model(attn_implementation="eager")
    with pytest.raises(ValueError, match="`output_attentions` is .*expected True or False"):
        model(**inputs, output_attentions=value)


def test_selected_states_by_hand():
    assert selected_layers({3, -1}, 4) in ([3, -1], [-1, 3])
    assert keep_selected(("a", "b", "c"), [0, -1, 7]) == ("a", None, "c")
    assert keep_selected(("a", "b"), True) == ("a", "b")
    assert keep_selected(("a", "b"), False) is None

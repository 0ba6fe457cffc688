import pytest
import torch

from tgdi_hf.modeling.prefix_attention import PrefixCache
from tgdi_hf.modeling.text_encoder_pass import encode_text
from tgdi_hf.modeling.tgdi_inputs import TextInputs

from .conftest import tiny_inputs, tiny_model


def encode(model, text, prefix=None, **outputs):
    tgdi = model.tgdi
    return encode_text(tgdi.text_encoder, text, prefix, tgdi.config, tgdi.dtype, outputs)


@pytest.fixture
def text(inputs):
    return TextInputs(inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"])


def test_without_a_prefix_the_text_is_encoded_as_by_the_encoder(model, text):
    encoded = encode(model, text)
    expected = model.tgdi.text_encoder(text.ids, text.mask, text.types).last_hidden_state
    tokens = text.mask.bool()
    torch.testing.assert_close(encoded.last_hidden_state[tokens], expected[tokens])
    assert encoded.hidden_states is encoded.attentions is None


def test_a_visible_prefix_changes_the_states_and_a_masked_one_does_not(model, text):
    torch.manual_seed(0)
    plain = encode(model, text).last_hidden_state
    projections = torch.randn(4, 3, 2, 64)
    for visible, equal in ((0, True), (1, False)):
        prefix = PrefixCache(projections, torch.full((4, 2), visible), num_heads=4)
        assert torch.allclose(encode(model, text, prefix).last_hidden_state, plain, atol=1e-5) == equal


def test_requested_outputs_are_returned(text):
    model = tiny_model(attn_implementation="eager")
    encoded = encode(model, text, output_hidden_states=[-1], output_attentions=True)
    assert [state is None for state in encoded.hidden_states] == [True, True, True, False]
    assert [attention.shape for attention in encoded.attentions] == [(4, 4, 9, 9)] * 3


@pytest.mark.parametrize("text", ["bert", "roberta"])
def test_texts_longer_than_the_positions_are_rejected(text):
    model = tiny_model(text=text)
    longest = model.config.max_text_length
    model(**tiny_inputs(length=longest, caption=0, images=False))
    with pytest.raises(ValueError, match=rf"{longest + 1} tokens.*positions for {longest}.*max_length={longest}"):
        model(**tiny_inputs(length=longest + 1, caption=0, images=False))

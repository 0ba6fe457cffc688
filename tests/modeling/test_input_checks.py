import pytest
import torch

from tgdi_hf import TGDIForRelationExtraction

from .conftest import VOCABULARY, tiny_config, tiny_inputs, tiny_model

ENHANCED = ("enhanced_input_ids", "enhanced_attention_mask", "enhanced_token_type_ids")


def without_captions(inputs):
    return {name: value for name, value in inputs.items() if name not in ENHANCED}


def set_at(name, row, value):
    def change(inputs):
        inputs[name][row] = value

    return change


def replace(**values):
    return lambda inputs: inputs.update({name: of(inputs) for name, of in values.items()})


EMPTY = [
    (lambda i: {name: value[:0] for name, value in i.items()}, r"`input_ids` has shape \(0, 9\): no post"),
    (lambda i: {**i, "input_ids": i["input_ids"][:, :0]}, r"`input_ids` has shape \(4, 0\): posts without tokens"),
    (
        lambda i: {**i, "enhanced_input_ids": i["enhanced_input_ids"][:, :0]},
        r"`enhanced_input_ids` has shape \(4, 0\)",
    ),
    (
        lambda i: {**i, "input_ids": None, "inputs_embeds": torch.zeros(0, 9, 32)},
        r"`inputs_embeds` has shape \(0, 9, 32\): no post",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), EMPTY)
@pytest.mark.parametrize("body", [True, False])
def test_empty_texts_are_rejected_by_name(change, message, body, inputs):
    model = tiny_model()
    with pytest.raises(ValueError, match=message):
        (model.tgdi if body else model)(**change(inputs))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_at("head_index", 2, 9), "`head_index` of post 2 has 9, outside 0 to 8 of the text"),
        (set_at("tail_index", 0, -1), "`tail_index` of post 0 has -1, outside"),
        (set_at("tail_index", 1, 8), "`tail_index` of post 1 is 8, which is padding in the text"),
        (
            lambda i: (i.update({name: i[name][:, :4] for name in ENHANCED}), i["tail_index"].fill_(5)),
            "`tail_index` of post 0 has 5, outside 0 to 3 of the enhanced text",
        ),
        (
            lambda i: i["enhanced_attention_mask"].__setitem__((3, i["head_index"][3]), 0),
            "`head_index` of post 3 is 2, which is padding in the enhanced text",
        ),
        (replace(head_index=lambda i: i["head_index"][:, None]), r"`head_index` is .* \(4, 1\).*\(4,\)"),
        (replace(head_index=lambda i: i["head_index"][:3]), r"`head_index` is a tensor of shape \(3,\).*\(4,\)"),
        (replace(tail_index=lambda i: i["tail_index"][0]), r"`tail_index` is a tensor of shape \(\)"),
        (replace(head_index=lambda i: i["head_index"].tolist()), "`head_index` is of type list"),
        (replace(head_index=lambda i: i["head_index"].float()), r"`head_index` has dtype torch\.float32; exp"),
        (replace(tail_index=lambda i: i["tail_index"].bool()), r"`tail_index` has dtype torch\.bool"),
        (replace(attention_mask=lambda i: i["attention_mask"][:, :8]), r"`attention_mask` is .*\(4, 8\), but `input"),
        (replace(attention_mask=lambda i: i["attention_mask"][:2]), r"`attention_mask` is .*\(2, 9\)"),
        (replace(attention_mask=lambda i: torch.ones(4, 1, 9, 9)), r"`attention_mask` is .*\(4, 1, 9, 9\)"),
        (replace(token_type_ids=lambda i: i["token_type_ids"][:1]), r"`token_type_ids` is .*\(1, 9\)"),
        (replace(enhanced_attention_mask=lambda i: i["attention_mask"]), r"`enhanced_attention_mask` is .*\(4, 9\)"),
        (replace(enhanced_token_type_ids=lambda i: [0]), "`enhanced_token_type_ids` is of type list"),
        (
            lambda i: i.update({name: i[name][:2] for name in ENHANCED}),
            "The text has 4 posts, the enhanced text 2; expected equal numbers",
        ),
        (replace(input_ids=lambda i: i["input_ids"][0]), r"`input_ids` is .* \(9,\); expected .*\(B, L\)"),
        (replace(input_ids=lambda i: i["input_ids"].float()), r"`input_ids` has dtype torch\.float32"),
        (replace(input_ids=lambda i: i["input_ids"].tolist()), "`input_ids` is of type list"),
        (set_at("input_ids", 3, VOCABULARY), "`input_ids` of post 3 has 120, outside 0 to 119 of the voc.*resize_to"),
        (set_at("enhanced_input_ids", 1, -100), "`enhanced_input_ids` of post 1 has -100"),
        (lambda i: i.pop("input_ids"), "Got `attention_mask` without `input_ids` or `inputs_embeds`"),
        (
            lambda i: [i.pop(name) for name in ("input_ids", "attention_mask", "token_type_ids")],
            "`input_ids` or `inputs_embeds` are required",
        ),
        (lambda i: i.pop("enhanced_input_ids"), "`enhanced_attention_mask` without `enhanced_input_ids`"),
    ],
)
def test_incompatible_texts_and_entities_are_rejected(change, message, inputs):
    model = tiny_model()
    change(inputs)
    model.tgdi.text_encoder.register_forward_pre_hook(lambda *args: pytest.fail("the encoder ran"))
    with pytest.raises(ValueError, match=message):
        model(**inputs)


def test_int32_ids_and_boolean_masks_are_accepted(inputs):
    model = tiny_model()
    expected = model(**inputs).logits
    narrow = {
        name: value.bool() if name.endswith("mask") else value if value.is_floating_point() else value.int()
        for name, value in inputs.items()
    }
    torch.testing.assert_close(model(**narrow).logits, expected)


def test_values_on_an_accelerator_are_not_read(inputs):
    """The meta device, which has shapes but no values, stands for an accelerator."""
    with torch.device("meta"):
        model = TGDIForRelationExtraction(tiny_config())
    inputs = {name: value.to("meta") for name, value in inputs.items()}
    assert model(**inputs).logits.shape == (4, 5)
    with pytest.raises(ValueError, match=r"`head_index` is a tensor of shape \(3,\)"):
        model(**{**inputs, "head_index": inputs["head_index"][:3]})


def test_without_captions_only_the_text_is_checked():
    inputs = without_captions(tiny_inputs())
    tiny_model()(**inputs)
    inputs["head_index"][1] = 12
    with pytest.raises(ValueError, match="of post 1 has 12, outside 0 to 8 of the text"):
        tiny_model()(**inputs)

"""Word embeddings instead of token ids, as attribution methods pass them."""

import pytest
import torch

from .conftest import TEXT_CONFIGS, tiny_inputs, tiny_model

IDS, ENHANCED_IDS = "input_ids", "enhanced_input_ids"


def embedded(model, inputs, *names, grad=False):
    """Replaces the ids in `names` by their embeddings."""
    inputs = dict(inputs)
    for name in names:
        rows = model.get_input_embeddings()(inputs.pop(name)).detach().requires_grad_(grad)
        inputs[name.replace("input_ids", "inputs_embeds")] = rows
    return inputs


def left_padded(inputs):
    """Moves the padding of `tiny_inputs` to the left, and drops the captions."""
    inputs = dict(inputs)
    for prefix in ("", "enhanced_"):
        mask = inputs[f"{prefix}attention_mask"]
        shifts = mask.shape[1] - mask.sum(dim=1)
        for name in ("input_ids", "attention_mask", "token_type_ids"):
            rows = zip(inputs[f"{prefix}{name}"], shifts, strict=True)
            inputs[f"{prefix}{name}"] = torch.stack([row.roll(int(shift)) for row, shift in rows])
    # Left padding would shift the entities differently in the two texts.
    return {name: value for name, value in inputs.items() if not name.startswith("enhanced")} | {
        name: inputs[name] + inputs["attention_mask"].shape[1] - inputs["attention_mask"].sum(dim=1)
        for name in ("head_index", "tail_index")
    }


@pytest.mark.parametrize("text", TEXT_CONFIGS)
@pytest.mark.parametrize("names", [(IDS,), (ENHANCED_IDS,), (IDS, ENHANCED_IDS)])
def test_embeddings_of_the_ids_equal_the_ids(text, names, inputs):
    model = tiny_model(text=text)
    given = embedded(model, inputs, *names)
    width = 16 if text == "electra" else 32
    assert given[names[0].replace("input_ids", "inputs_embeds")].shape[-1] == width
    torch.testing.assert_close(model(**given).logits, model(**inputs).logits)
    torch.testing.assert_close(model.tgdi(**given).entity_states, model.tgdi(**inputs).entity_states)


@pytest.mark.parametrize("text", TEXT_CONFIGS)
@pytest.mark.parametrize("images", [True, False])
def test_without_a_caption_the_enhanced_text_is_the_embedded_text(text, images):
    model = tiny_model(text=text)
    inputs = tiny_inputs(images=images)
    inputs = {name: value for name, value in inputs.items() if not name.startswith("enhanced")}
    torch.testing.assert_close(model(**embedded(model, inputs, IDS)).logits, model(**inputs).logits)
    del inputs["token_type_ids"]
    torch.testing.assert_close(model(**embedded(model, inputs, IDS)).logits, model(**inputs).logits)


@pytest.mark.parametrize("text", ["bert", "roberta"])
def test_left_padded_embeddings_have_the_positions_of_ids(text, inputs):
    model = tiny_model(text=text)
    inputs = left_padded(inputs)
    assert (inputs["attention_mask"][:, 0] == 0).any()
    torch.testing.assert_close(model(**embedded(model, inputs, IDS)).logits, model(**inputs).logits)


@pytest.mark.parametrize("text", ["bert", "electra"])
def test_gradient_times_input_is_finite_and_not_zero(text, inputs):
    model = tiny_model(text=text)
    given = embedded(model, inputs, IDS, ENHANCED_IDS, grad=True)
    model(**given).logits[:, 0].sum().backward()
    for name, mask in (("inputs_embeds", "attention_mask"), ("enhanced_inputs_embeds", "enhanced_attention_mask")):
        attribution = (given[name].grad * given[name]).sum(dim=-1)
        assert attribution.isfinite().all()
        assert (attribution[inputs[mask].bool()].abs() > 0).all()
        assert (attribution[~inputs[mask].bool()] == 0).all()


def test_integrated_gradients_are_complete(inputs):
    """Attributions sum to the difference between the logit of the text and that of the baseline (zeros)."""
    model = tiny_model().double()
    for name, value in inputs.items():
        inputs[name] = value.double() if value.is_floating_point() else value
    given = embedded(model, inputs, IDS, ENHANCED_IDS)
    names = ("inputs_embeds", "enhanced_inputs_embeds")

    def logit(share):
        scaled = {name: (share * given[name]).detach().requires_grad_() for name in names}
        return model(**{**given, **scaled}).logits[:, 1], scaled

    steps, total = 100, 0
    for step in range(steps):
        value, scaled = logit((step + 0.5) / steps)
        gradients = torch.autograd.grad(value.sum(), list(scaled.values()))
        total = total + sum((g * given[name]).sum(dim=(1, 2)) for g, name in zip(gradients, names)) / steps
    difference = logit(1.0)[0] - logit(0.0)[0]
    assert (difference.abs() > 1e-3).all()
    torch.testing.assert_close(total, difference, rtol=1e-2, atol=1e-3)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_embeddings_are_converted_to_the_dtype_of_the_model(dtype, inputs):
    model = tiny_model()
    expected = model(**inputs).logits
    given = embedded(model, inputs, IDS)
    given["inputs_embeds"] = given["inputs_embeds"].to(dtype)
    torch.testing.assert_close(model(**given).logits, expected, atol=0.05, rtol=0.05)
    half = model.to(torch.bfloat16)
    assert half(**embedded(tiny_model(), inputs, IDS)).logits.dtype == torch.bfloat16


@pytest.mark.no_cover
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the compiler
def test_embeddings_compile_without_graph_breaks(inputs):
    torch._dynamo.reset()
    model = tiny_model(text="roberta")
    given = embedded(model, inputs, IDS)
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, backend="eager")(**given).logits
        torch.testing.assert_close(compiled, model(**given).logits)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"inputs_embeds": torch.zeros(4, 9, 32)}, "Expected `input_ids` or `inputs_embeds`, got both"),
        (
            {"enhanced_inputs_embeds": torch.zeros(4, 14, 32)},
            "Expected `enhanced_input_ids` or `enhanced_inputs_embeds`, got both",
        ),
        ({"input_ids": None}, "without `input_ids` or `inputs_embeds`"),
        ({"input_ids": None, "inputs_embeds": torch.zeros(4, 9, 16)}, r"\(4, 9, 16\); expected .*\(B, L, 32\)"),
        ({"input_ids": None, "inputs_embeds": torch.zeros(4, 9)}, r"\(4, 9\); expected .*\(B, L, 32\)"),
        ({"input_ids": None, "inputs_embeds": torch.zeros(4, 9, 32).long()}, r"dtype torch\.int64.*floating-point"),
        ({"input_ids": None, "inputs_embeds": torch.zeros(4, 8, 32)}, r"`attention_mask` is .*\(4, 9\).*\(4, 8, 32\)"),
    ],
)
def test_incompatible_embeddings_are_rejected(change, message, inputs):
    with pytest.raises(ValueError, match=message):
        tiny_model()(**{**inputs, **change})

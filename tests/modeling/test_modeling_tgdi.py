import copy
import io
import pickle

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction, TGDIModel

from .conftest import IMAGE, TEXT_CONFIGS, VISION_CONFIGS, VISUAL, prefixed_with, tiny_config, tiny_inputs, tiny_model

LABELS = torch.tensor([0, 1, 2, 3])


def logits(model, **inputs):
    with torch.no_grad():
        return model(**inputs).logits


def rows(inputs, order):
    return {name: value[order] for name, value in inputs.items()}


@pytest.mark.parametrize("text", TEXT_CONFIGS)
@pytest.mark.parametrize("vision", VISION_CONFIGS)
def test_every_pair_of_encoders_runs_and_trains(text, vision, inputs):
    model = tiny_model(text=text, vision=vision).train()
    outputs = model(**inputs, labels=LABELS)
    outputs.loss.backward()
    assert outputs.logits.shape == (4, 5)
    assert outputs.matching_gate.shape == (4, 32)
    assert outputs.similarity.shape == (4, 3 * 16, 9)
    assert outputs.vision_gates.shape == (4, 3, 3, 3)
    without = [name for name, p in model.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
    assert not without


@pytest.mark.parametrize(
    "options",
    [
        {"use_visual_prompts": False},
        {"use_matching_gate": False},
        {"use_text_oriented_interaction": False},
        {"use_visual_prompts": False, "use_matching_gate": False, "use_text_oriented_interaction": False},
        {"toi_num_layers": 3},
        {"toi_share_text_encoder": False},
        {"self_attention_residual": False},
        {"prompt_grid": 2},
    ],
)
def test_every_parameter_of_every_variant_gets_a_gradient(options, inputs):
    model = tiny_model(**options).train()
    model(**inputs, labels=LABELS).loss.backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]


def test_an_image_changes_the_logits_unless_it_is_masked(model, inputs):
    before = logits(model, **inputs)
    pixels = inputs["pixel_values"].clone()
    pixels[1, 0] = torch.randn(3, IMAGE, IMAGE)  # holds an image
    pixels[1, 1] = torch.randn(3, IMAGE, IMAGE)  # an empty slot
    after = logits(model, **{**inputs, "pixel_values": pixels})
    assert (before[1] - after[1]).abs().max() > 1e-3
    torch.testing.assert_close(before[[0, 2, 3]], after[[0, 2, 3]])
    pixels = inputs["pixel_values"].clone()
    pixels[~inputs["image_mask"].bool()] = 7.0
    torch.testing.assert_close(logits(model, **{**inputs, "pixel_values": pixels}), before)


def test_prompts_and_gate_each_let_the_image_change_the_logits(inputs):
    other = {**inputs, "pixel_values": inputs["pixel_values"].flip(0)}
    for options in ({"use_matching_gate": False}, {"use_visual_prompts": False}):
        model = tiny_model(**options)
        assert (logits(model, **inputs)[:3] - logits(model, **other)[:3]).abs().max() > 1e-3, options


def test_logits_do_not_depend_on_padding_and_batch(model, inputs):
    together = logits(model, **inputs)
    torch.testing.assert_close(logits(model, **rows(inputs, [2, 0, 3, 1])), together[[2, 0, 3, 1]])
    for i in range(4):
        alone = rows(inputs, [i])
        length = int(alone["attention_mask"].sum())
        total = int(alone["enhanced_attention_mask"].sum())
        alone = {
            name: value[:, :total]
            if name.startswith("enhanced")
            else value[:, :length]
            if value.shape[1:] == (9,)
            else value
            for name, value in alone.items()
        }
        torch.testing.assert_close(logits(model, **alone), together[[i]])


def test_a_row_without_images_equals_a_text_only_row(model, inputs):
    text_only = {name: value for name, value in inputs.items() if name not in VISUAL}
    with_images, without = logits(model, **inputs), logits(model, **text_only)
    torch.testing.assert_close(with_images[3], without[3])
    masked = {**inputs, "image_mask": torch.zeros_like(inputs["image_mask"])}
    torch.testing.assert_close(logits(model, **masked), without)


def test_the_gate_is_one_without_an_image(model, inputs):
    outputs = model(**inputs)
    assert (outputs.matching_gate[3] == 1).all()
    assert (outputs.matching_gate[0] < 1).all()
    outputs = model(**{name: value for name, value in inputs.items() if name not in VISUAL})
    assert (outputs.matching_gate == 1).all()
    assert outputs.similarity is None
    assert outputs.vision_gates is None


def test_a_row_without_caption_equals_a_batch_without_captions(model, inputs):
    bare = {name: value for name, value in inputs.items() if not name.startswith("enhanced")}
    torch.testing.assert_close(logits(model, **bare)[1], logits(model, **inputs)[1])
    assert (logits(model, **bare)[0] - logits(model, **inputs)[0]).abs().max() > 1e-3


def test_text_is_encoded_once_without_caption_and_image(model, inputs):
    calls = []
    model.tgdi.text_encoder.register_forward_hook(lambda *args: calls.append(1))
    bare = {name: value for name, value in inputs.items() if not name.startswith("enhanced")}
    model(**bare)
    assert len(calls) == 2
    model(**{name: value for name, value in bare.items() if name not in VISUAL})
    assert len(calls) == 3


@pytest.mark.parametrize("vision", VISION_CONFIGS)
@pytest.mark.parametrize("prompt_grid", [1, 2])
def test_precomputed_features_equal_pixels(vision, prompt_grid, inputs):
    model = tiny_model(vision=vision, prompt_grid=prompt_grid)
    pixels = inputs.pop("pixel_values")
    features = model.get_vision_features(pixels)
    assert features.shape == (4, 3, 3 * prompt_grid**2 + 16, 24)
    assert torch.equal(logits(model, **inputs, pixel_values=pixels), logits(model, **inputs, vision_features=features))
    index = torch.arange(12).view(4, 3)
    torch.testing.assert_close(
        logits(model, **inputs, vision_features=features.flatten(0, 1), image_index=index),
        logits(model, **inputs, vision_features=features),
    )


def test_each_switch_removes_its_mechanism(inputs):
    """Compares each switch with the same weights and the mechanism removed by hand."""
    full = tiny_model()
    outputs = full.tgdi(**inputs, output_hidden_states=True)
    markers = torch.stack([inputs["head_index"], inputs["tail_index"]], dim=1)
    pick = lambda states: states[torch.arange(4).unsqueeze(1), markers].flatten(1)  # noqa: E731
    f_1, f_3, gate = (
        outputs.cross_modal_last_hidden_state,
        outputs.text_oriented_last_hidden_state,
        outputs.matching_gate,
    )
    torch.testing.assert_close(outputs.entity_states, 0.5 * pick(f_3) + 0.5 * pick(f_1))

    def variant(**options):
        model = TGDIModel(tiny_config(**options)).eval()
        model.load_state_dict({k: v for k, v in full.tgdi.state_dict().items() if k in model.state_dict()})
        return model(**inputs)

    torch.testing.assert_close(variant(fusion_lambda=0.2).entity_states, 0.2 * pick(f_3) + 0.8 * pick(f_1))
    torch.testing.assert_close(variant(use_result_fusion=False).entity_states, pick(f_3))
    torch.testing.assert_close(
        variant(use_text_oriented_interaction=False).entity_states, pick(gate.unsqueeze(1) * f_1)
    )
    no_gate = variant(use_matching_gate=False, use_text_oriented_interaction=False)
    torch.testing.assert_close(no_gate.entity_states, pick(f_1))
    assert no_gate.matching_gate is None
    no_prompts = variant(use_visual_prompts=False)
    plain = full.tgdi.text_encoder(
        inputs["enhanced_input_ids"], inputs["enhanced_attention_mask"], inputs["enhanced_token_type_ids"]
    ).last_hidden_state
    visible = inputs["enhanced_attention_mask"].bool()
    torch.testing.assert_close(no_prompts.cross_modal_last_hidden_state[visible], plain[visible])


def test_a_model_that_reads_no_images_has_no_vision_tower(inputs):
    model = tiny_model(use_visual_prompts=False, use_matching_gate=False)
    assert model.tgdi.vision_tower is None
    text_only = {name: value for name, value in inputs.items() if name not in VISUAL}
    assert torch.equal(logits(model, **inputs), logits(model, **text_only))
    with pytest.raises(ValueError, match="reads no images"):
        model.get_vision_features(inputs["pixel_values"])


def test_hidden_states_and_attentions_of_both_passes(inputs):
    model = tiny_model(toi_num_layers=2)
    with pytest.raises(ValueError, match="eager"):
        model(**inputs, output_attentions=True)
    model.set_attn_implementation("eager")
    outputs = model(**inputs, output_hidden_states=True, output_attentions=True)
    assert [h.shape for h in outputs.cross_modal_hidden_states] == [(4, 14, 32)] * 4
    assert [h.shape for h in outputs.text_oriented_hidden_states] == [(4, 9, 32)] * 3
    assert [a.shape for a in outputs.cross_modal_attentions] == [(4, 4, 14, 3 + 14)] * 3
    assert [a.shape for a in outputs.text_oriented_attentions] == [(4, 4, 9, 14 + 9)] * 2
    for attention in outputs.cross_modal_attentions + outputs.text_oriented_attentions:
        torch.testing.assert_close(attention.sum(-1), torch.ones(attention.shape[:-1]))
    assert (outputs.cross_modal_attentions[0][3, :, :, :3] == 0).all()  # no attention to the prompts without an image
    assert model(**inputs).cross_modal_hidden_states is None


@pytest.mark.parametrize("text", TEXT_CONFIGS)
@pytest.mark.parametrize("share", [False, True])
def test_sdpa_equals_eager(text, share, inputs):
    model = tiny_model(text=text, toi_share_text_encoder=share)
    sdpa = logits(model, **inputs)
    model.set_attn_implementation("eager")
    torch.testing.assert_close(logits(model, **inputs), sdpa)


def test_bf16_weights_and_autocast_stay_near_fp32(inputs):
    model = tiny_model()
    expected = logits(model, **inputs)
    for implementation in ("sdpa", "eager"):
        model.set_attn_implementation(implementation)
        with torch.autocast("cpu", torch.bfloat16):
            outputs = model(**inputs, labels=LABELS)
        assert outputs.loss.dtype == torch.float32
        torch.testing.assert_close(outputs.logits.float(), expected, atol=0.15, rtol=0.1)
        half = copy.deepcopy(model).to(torch.bfloat16)
        torch.testing.assert_close(logits(half, **inputs).float(), expected, atol=0.15, rtol=0.1)


def gradients(model, inputs):
    model.train()
    model.zero_grad()
    model(**inputs, labels=LABELS).loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


@pytest.mark.parametrize("text", ["bert", "roberta"])
@pytest.mark.parametrize("share", [False, True])
def test_activation_checkpointing_changes_nothing(text, share, inputs):
    model = tiny_model(text=text, toi_share_text_encoder=share)
    plain = gradients(model, inputs)
    model.activation_checkpointing_enable()
    checkpointed = gradients(model, inputs)
    assert plain.keys() == checkpointed.keys()
    assert any("visual_prompts" in name for name in plain)
    for name, gradient in plain.items():
        torch.testing.assert_close(checkpointed[name], gradient, msg=prefixed_with(name))


def test_reentrant_checkpointing_is_rejected(model):
    with pytest.raises(ValueError, match="use_reentrant"):
        model.activation_checkpointing_enable({"use_reentrant": True})


def test_freezing_the_vision_encoder(inputs):
    model = tiny_model()
    model.freeze_vision_encoder()
    model.train()
    assert not model.tgdi.vision_tower.training
    assert model.tgdi.text_encoder.training
    got = gradients(model, inputs)
    assert not any("vision_tower" in name for name in got)
    assert any("visual_prompts" in name for name in got)


@pytest.mark.no_cover
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the compiler
@pytest.mark.parametrize("images", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_compiles_without_graph_breaks(images):
    torch._dynamo.reset()
    model = tiny_model()
    compiled = torch.compile(model, fullgraph=True, backend="eager", dynamic=True)
    for seed in (1, 2):
        inputs = tiny_inputs(seed=seed, length=8 + seed, images=images)
        torch.testing.assert_close(logits(compiled, **inputs), logits(model, **inputs))


@pytest.mark.parametrize("model_class", [TGDIModel, TGDIForRelationExtraction])
def test_saving_and_loading_is_exact(model_class, tmp_path, inputs):
    model = model_class(tiny_config(prompt_grid=2, toi_share_text_encoder=True)).eval()
    model.save_pretrained(tmp_path)
    assert not list(tmp_path.glob("*.bin"))
    again = model_class.from_pretrained(tmp_path)
    named = lambda m: {**dict(m.named_parameters()), **dict(m.named_buffers())}  # noqa: E731
    assert named(again).keys() == named(model).keys()
    for name, value in named(model).items():
        assert torch.equal(value, named(again)[name]), name
    first, second = model(**inputs), again(**inputs)
    assert torch.equal(first[0], second[0])


@pytest.mark.parametrize("text", TEXT_CONFIGS)
@pytest.mark.parametrize("vision", VISION_CONFIGS)
def test_weights_on_disk_have_their_names_in_the_model(text, vision, tmp_path):
    """`Trainer` loads the best model without renaming weights, and silently skips those of other names."""
    model = tiny_model(text=text, vision=vision)
    model.save_pretrained(tmp_path)
    on_disk = load_file(tmp_path / "model.safetensors")
    assert on_disk.keys() == model.state_dict().keys()
    again = TGDIForRelationExtraction.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in on_disk.items())


def test_a_body_loads_from_a_classifier_and_vice_versa(tmp_path, inputs):
    model = tiny_model()
    model.save_pretrained(tmp_path / "head")
    body = TGDIModel.from_pretrained(tmp_path / "head")
    torch.testing.assert_close(body(**inputs).entity_states, model.tgdi(**inputs).entity_states)
    body.save_pretrained(tmp_path / "body")
    head = TGDIForRelationExtraction.from_pretrained(tmp_path / "body")
    torch.testing.assert_close(head.tgdi(**inputs).entity_states, body(**inputs).entity_states)


def test_initial_weights_are_finite_after_loading_a_partial_checkpoint(tmp_path):
    """Weights missing from a checkpoint are initialised rather than left as uninitialised memory."""
    model = tiny_model(use_matching_gate=False)
    model.save_pretrained(tmp_path)
    grown = TGDIForRelationExtraction.from_pretrained(tmp_path, use_matching_gate=True)
    for name, parameter in grown.named_parameters():
        assert parameter.isfinite().all(), name
        assert parameter.abs().max() < 10, name


def test_the_loss_is_cross_entropy_divided_by_num_items_in_batch(model, inputs):
    outputs = model(**inputs, labels=LABELS)
    expected = -outputs.logits.log_softmax(-1)[torch.arange(4), LABELS]
    torch.testing.assert_close(outputs.loss, expected.mean())
    torch.testing.assert_close(model(**inputs, labels=LABELS, num_items_in_batch=8).loss, expected.sum() / 8)
    ignored = torch.tensor([0, -100, -100, -100])
    torch.testing.assert_close(model(**inputs, labels=ignored).loss, expected[0])


def test_outputs_are_tuples_on_request(model, inputs):
    outputs = model(**inputs, labels=LABELS)
    as_tuple = model(**inputs, labels=LABELS, return_dict=False)
    assert isinstance(as_tuple, tuple)
    assert torch.equal(as_tuple[1], outputs.logits)


def test_lora_on_the_text_encoder(inputs):
    peft = pytest.importorskip("peft")
    model = tiny_model()
    expected = logits(model, **inputs)
    config = peft.LoraConfig(
        task_type="SEQ_CLS",
        r=4,
        target_modules=r".*text_encoder\.encoder\.layer\.\d+\.attention\.self\.(query|value)",
        modules_to_save=["classifier", "visual_prompts"],
    )
    lora = peft.get_peft_model(model, config).eval()
    torch.testing.assert_close(logits(lora, **inputs), expected)
    lora.train()
    lora(**inputs, labels=LABELS).loss.backward()
    trained = {name for name, p in lora.named_parameters() if p.grad is not None}
    assert any("lora_" in name for name in trained)
    assert any("visual_prompts" in name for name in trained)
    assert not any(name.endswith("attention.self.key.weight") for name in trained)


def test_an_encoder_without_segments_ignores_token_type_ids(inputs):
    text = {**TEXT_CONFIGS["roberta"].to_dict(), "type_vocab_size": 1}
    config = tiny_config(text="roberta").to_dict() | {"text_config": text}
    model = TGDIForRelationExtraction(TGDIConfig.from_dict(config)).eval()
    assert inputs["enhanced_token_type_ids"].max() == 1  # the tokenizer has segments
    one = {name: torch.zeros_like(value) for name, value in inputs.items() if name.endswith("type_ids")}
    assert torch.equal(model(**inputs).logits, model(**{**inputs, **one}).logits)


def test_auto_model_loads_the_body(tmp_path, inputs):
    model = tiny_model()
    model.save_pretrained(tmp_path)
    assert type(AutoModel.from_pretrained(tmp_path)).__name__ == "TGDIModel"


def test_a_trained_body_loads_with_another_set_of_labels(tmp_path, inputs):
    tiny_model(num_labels=5).save_pretrained(tmp_path)
    model = TGDIForRelationExtraction.from_pretrained(tmp_path, num_labels=7, ignore_mismatched_sizes=True)
    assert logits(model, **inputs).shape == (4, 7)
    assert len(model.config.id2label) == 7
    assert TGDIForRelationExtraction.from_pretrained(tmp_path).config.num_labels == 5


def test_pickles_and_copies_equal_the_model(model, inputs):
    expected = logits(model, **inputs)
    model(**inputs, output_hidden_states=True)  # installs hooks in the text encoder
    file = io.BytesIO()
    torch.save(model, file)
    for other in (pickle.loads(pickle.dumps(model)), copy.deepcopy(model)):
        assert torch.equal(logits(other, **inputs), expected)
        assert torch.equal(logits(torch.compile(other, fullgraph=True, backend="eager"), **inputs), expected)
    assert torch.equal(logits(model, **inputs), expected)


def test_the_configuration_sets_the_default_outputs(inputs):
    model = tiny_model(output_hidden_states=True, output_attentions=True, attn_implementation="eager")
    outputs = model(**inputs)
    assert len(outputs.cross_modal_hidden_states) == 4
    assert len(outputs.cross_modal_attentions) == 3
    assert model(**inputs, output_hidden_states=False).cross_modal_hidden_states is None
    model = tiny_model(return_dict=False)
    assert torch.equal(model(**inputs)[0], tiny_model()(**inputs).logits)


def test_vision_features_require_an_image():
    for shape in ((0, 3, 32, 32), (4, 0, 3, 32, 32), (32, 32)):
        with pytest.raises(ValueError, match="at least one image"):
            tiny_model().get_vision_features(torch.zeros(shape))


@pytest.mark.parametrize("leading", [(), (2,), (2, 3)])
def test_vision_features_keep_the_leading_dimensions(model, leading):
    features = model.get_vision_features(torch.randn(*leading, 3, IMAGE, IMAGE))
    assert features.shape == (*leading, 3 + 16, 24)


@pytest.mark.parametrize("missing", ["head_index", "tail_index"])
def test_missing_entity_positions_are_rejected_before_encoding(missing, model, inputs):
    model.tgdi.text_encoder.register_forward_pre_hook(lambda *args: pytest.fail("the encoder ran"))
    with pytest.raises(ValueError, match="`head_index` and `tail_index` are required"):
        model(**{name: value for name, value in inputs.items() if name != missing})


@pytest.mark.parametrize("model_class", [TGDIModel, TGDIForRelationExtraction])
def test_unknown_arguments_are_rejected(model_class, inputs):
    model = model_class(tiny_config()).eval()
    for name, value, hint in (
        ("pixel_value", inputs["pixel_values"], "did you mean `pixel_values`"),
        ("enhanced_inputs_ids", inputs["input_ids"], "did you mean `enhanced_input_ids`"),
        ("position_ids", inputs["input_ids"], "expected one of input_ids, attention_mask"),
        ("use_cache", True, "expected one of"),
    ):
        with pytest.raises(
            TypeError, match=rf"{model_class.__name__}.forward got an unexpected argument `{name}`; {hint}"
        ):
            model(**inputs, **{name: value})
    unasked = {"use_cache": False, "task_ids": None, "return_dict": True, "num_items_in_batch": None}
    assert torch.equal(model(**inputs, **unasked)[0], model(**inputs)[0])


def test_the_body_accepts_num_items_in_batch(model, inputs):
    assert torch.equal(model.tgdi(**inputs, num_items_in_batch=4)[0], model.tgdi(**inputs)[0])

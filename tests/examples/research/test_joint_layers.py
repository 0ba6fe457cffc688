"""What MKGformer and IFAformer share: vision layers that run jointly with text layers."""

import pytest
import torch
from transformers import AutoModel, BertConfig, CLIPVisionConfig, DeiTConfig, Dinov2WithRegistersConfig

from examples.research.baselines import (
    BaselineConfig,
    IFAformerForRelationExtraction,
    MKGformerForRelationExtraction,
    build_baseline,
)
from examples.research.baselines.baseline import as_tower
from examples.research.baselines.joint_layers import VISION_FAMILIES, KeysAndValues, TextAwareAttention, key_mask
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

from ...modeling.conftest import TEXT, TEXT_CONFIGS, VISION, VISION_CONFIGS, tiny_inputs

JOINT = [MKGformerForRelationExtraction, IFAformerForRelationExtraction]
IMPLEMENTATIONS = ("eager", "sdpa")
LABELS = torch.tensor([0, 1, 2, 4])
# Three vision layers, so that the lowest of MKGformer's reads no text.
DEEPER = {
    **{name: config.to_dict() for name, config in VISION_CONFIGS.items() if name in VISION_FAMILIES},
    "deit": DeiTConfig(**VISION, intermediate_size=48).to_dict(),
    "dinov2_with_registers": Dinov2WithRegistersConfig(**VISION, mlp_ratio=2, num_register_tokens=2).to_dict(),
}
DEEPER = {name: {**config, "num_hidden_layers": 3} for name, config in DEEPER.items()}


def make(model_class, vision="clip_vision_model", text="bert", vision_options=None, text_options=None, **options):
    torch.manual_seed(0)
    options = {"num_labels": 5, "classifier_dropout": 0.0, "use_caption": True, **options}
    config = BaselineConfig(
        text_config={**TEXT_CONFIGS[text].to_dict(), **(text_options or {})},
        vision_config={**DEEPER[vision], **(vision_options or {})},
        **options,
    )
    model = model_class(config)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.15)
    return model.eval()


def rows_of(inputs, rows):
    return {name: value[rows] for name, value in inputs.items()}


def without_images(inputs):
    return {name: value for name, value in inputs.items() if name not in ("pixel_values", "image_mask")}


def states_of(model, inputs):
    """The states of the text, `(B, L, d)`."""
    images = model.levels(inputs.get("pixel_values"), inputs.get("image_mask"), inputs.get("image_index"))
    return model.encode(inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"], images)


def test_every_family_is_tested():
    assert DEEPER.keys() == VISION_FAMILIES.keys()


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("vision", VISION_FAMILIES)
def test_attention_without_visible_text_is_that_of_the_encoder(vision, implementation):
    """Also where a later version of transformers changes what an encoder does in its attention."""
    model = make(IFAformerForRelationExtraction, vision, attn_implementation=implementation)
    stock = AutoModel.from_config(model.config.vision_config, attn_implementation=implementation)
    stock = as_tower(stock).eval()
    stock.load_state_dict(model.vision_tower.state_dict())  # the names of the weights are the same
    images, hidden = tiny_inputs()["pixel_values"][0], torch.zeros(3, 6)
    text = KeysAndValues(*torch.randn(2, 3, 6, 24))
    with torch.no_grad():
        expected = stock(images, output_hidden_states=True).hidden_states
        tokens = model.maps(images)[0]
        torch.testing.assert_close(tokens, expected[model.num_lower_layers])
        bias = key_mask(hidden, torch.ones(tokens.shape[:2]), dtype=tokens.dtype, implementation=implementation)
        for layer, after in zip(model.vision_layers[:-1], expected[1:]):
            assert isinstance(getattr(layer, model.family.attention), TextAwareAttention)
            tokens = layer(tokens, bias, text=text)
            torch.testing.assert_close(tokens, after)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("vision", VISION_FAMILIES)
@pytest.mark.parametrize("model_class", JOINT)
def test_trained_weights_are_those_with_gradients(model_class, vision, implementation, tmp_path):
    model = make(model_class, vision, attn_implementation=implementation)
    model(**tiny_inputs(), labels=LABELS).loss.backward()
    trained = {name for name, parameter in model.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in model.named_parameters() if parameter.grad is not None} == trained
    # A bias of keys shifts all scores of a query alike where keys of one side only are read.
    zero = {name for name in trained if not model.get_parameter(name).grad.any()}
    assert not {name for name in zero if not name.endswith(("key.bias", "k_proj.bias"))}
    untrained = {name for name, _ in model.named_parameters()} - trained - {"vision_tower.embeddings.mask_token"}
    if model_class is MKGformerForRelationExtraction:
        assert not untrained
    else:  # nothing reads the output of the last vision layer
        last, family = model.vision_layers[-1], model.family
        read = (family.norm, f"{family.attention}.k_proj", f"{family.attention}.v_proj")
        names = {name for name, _ in last.named_parameters() if not name.startswith(read)}
        assert len(untrained) == len(names) and all(name.endswith(tuple(names)) for name in untrained)
    model.save_pretrained(tmp_path)
    again = model_class.from_pretrained(tmp_path, attn_implementation=implementation).eval()
    assert {name for name, parameter in again.named_parameters() if parameter.requires_grad} == trained
    torch.testing.assert_close(again(**tiny_inputs()).logits, model(**tiny_inputs()).logits)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("text", TEXT_CONFIGS)
@pytest.mark.parametrize("model_class", JOINT)
def test_posts_without_image_are_those_of_the_text_encoder(model_class, text, implementation):
    model, inputs = make(model_class, text=text, attn_implementation=implementation), tiny_inputs()
    inputs["token_type_ids"] = None if text in ("roberta", "xlm-roberta", "camembert") else inputs["token_type_ids"]
    arguments = {name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    with torch.no_grad():
        expected = model.text_encoder(**arguments).last_hidden_state
        torch.testing.assert_close(states_of(model, without_images(inputs)), expected)
        states = states_of(model, inputs)  # the last post has no image
    torch.testing.assert_close(states[-1], expected[-1])
    assert ((states - expected).abs().amax(dim=(1, 2)) > 1e-3).tolist() == [True, True, True, False]


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("model_class", JOINT)
def test_padding_and_empty_slots_change_nothing(model_class, implementation):
    model, inputs = make(model_class, attn_implementation=implementation), tiny_inputs()
    expected = model(**inputs).logits
    alone = [model(**rows_of(inputs, [i])).logits for i in range(len(expected))]
    torch.testing.assert_close(torch.cat(alone), expected)
    longer = {
        name: torch.nn.functional.pad(value, (0, 4), value=7 if name.endswith("input_ids") else 0)
        for name, value in inputs.items()
        if value.dim() == 2 and name != "image_mask"
    }
    torch.testing.assert_close(model(**{**inputs, **longer}).logits, expected)
    noise = torch.randn(4, 2, *inputs["pixel_values"].shape[2:])
    more = {
        "pixel_values": torch.cat([noise, inputs["pixel_values"]], dim=1),
        "image_mask": torch.cat([torch.zeros(4, 2, dtype=torch.long), inputs["image_mask"]], dim=1),
    }
    torch.testing.assert_close(model(**{**inputs, **more}).logits, expected)
    order = [2, 0, 1]
    turned = {name: inputs[name][:, order] for name in ("pixel_values", "image_mask")}
    torch.testing.assert_close(model(**{**inputs, **turned}).logits, expected)


@pytest.mark.parametrize("model_class", JOINT)
def test_every_image_counts(model_class):
    model, inputs = make(model_class), rows_of(tiny_inputs(), [0])
    logits = model(**inputs).logits
    for slot in range(3):
        changed, masked = inputs["pixel_values"].clone(), inputs["image_mask"].clone()
        changed[:, slot], masked[:, slot] = -changed[:, slot], 0
        assert (model(**{**inputs, "pixel_values": changed}).logits - logits).abs().max() > 1e-4
        assert (model(**{**inputs, "image_mask": masked}).logits - logits).abs().max() > 1e-4


@pytest.mark.parametrize("model_class", JOINT)
def test_images_read_the_text_of_their_post(model_class):
    model, inputs = make(model_class, num_fusion_layers=2), tiny_inputs()
    inputs = {name: value for name, value in inputs.items() if not name.startswith("enhanced")}
    seen = []
    for layer in model.vision_layers:
        layer.register_forward_hook(lambda layer, args, output: seen.append(output.detach()))
    model(**inputs)
    of_text, seen = seen, []
    inputs["input_ids"] = inputs["input_ids"].clone()
    inputs["input_ids"][0, 2] += 1
    model(**inputs)
    changed = [(one - other).abs().amax(dim=(1, 2)) > 1e-6 for one, other in zip(of_text, seen)]
    # Of four posts with three slots each, the images of the first; MKGformer's first layer reads no text, and
    # IFAformer's last one is not run.
    of_first = [True] * 3 + [False] * 9
    joint = [found.tolist() for found in changed if len(found) == 12][-2:]
    assert joint == [of_first, of_first]
    if model_class is MKGformerForRelationExtraction:
        assert len(changed) == 3 and not changed[0].any()
    else:
        assert len(changed) == 2


def test_distinct_images_are_encoded_once_below_the_joint_layers():
    model, inputs = make(MKGformerForRelationExtraction, num_fusion_layers=1), tiny_inputs()
    shared = {**inputs, "pixel_values": inputs["pixel_values"][0, :2], "image_index": torch.zeros(4, 3).long()}
    shared["image_index"][0, 1] = 1
    sizes = []
    for layer in model.vision_layers:
        layer.register_forward_pre_hook(lambda layer, args: sizes.append(len(args[0])))
    logits = model(**shared).logits
    assert sizes == [2, 2, 12]
    whole = {**inputs, "pixel_values": shared["pixel_values"][shared["image_index"]]}
    torch.testing.assert_close(model(**whole).logits, logits)


@pytest.mark.parametrize("model_class", JOINT)
def test_equally_wide_encoders_need_no_maps(model_class):
    """Even if they split their keys into different numbers of heads."""
    model = make(model_class, vision_options={"hidden_size": 32, "num_attention_heads": 2})
    new = {name for name, _ in model.named_parameters() if not name.startswith(("text_encoder", "vision_tower"))}
    assert {name.split(".")[0] for name in new} <= {"classifier", "fusions"}
    assert all("projection" not in name for name in new)
    assert model(**tiny_inputs()).logits.isfinite().all()


@pytest.mark.parametrize("model_class", JOINT)
def test_activation_checkpointing_changes_no_gradient(model_class):
    kept = []
    for checkpointed in (False, True):
        model = make(model_class).train()
        if checkpointed:
            model.activation_checkpointing_enable()
        model(**tiny_inputs(), labels=LABELS).loss.backward()
        kept.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(*kept)


@pytest.mark.parametrize("implementation", IMPLEMENTATIONS)
@pytest.mark.parametrize("model_class", JOINT)
def test_half_precision(model_class, implementation):
    model = make(model_class, attn_implementation=implementation)
    expected = model(**tiny_inputs()).logits
    logits = model.to(torch.bfloat16)(**tiny_inputs()).logits
    assert logits.dtype == torch.bfloat16
    torch.testing.assert_close(logits.float(), expected, atol=0.2, rtol=0.1)


@pytest.mark.parametrize("model_class", JOINT)
def test_attention_dropout_is_that_of_the_vision_encoder(model_class):
    model = make(model_class, vision_options={"attention_dropout": 0.5})
    inputs = tiny_inputs()
    torch.testing.assert_close(model(**inputs).logits, model(**inputs).logits)
    model.train()
    assert not torch.allclose(model(**inputs).logits, model(**inputs).logits)
    model.freeze_vision_encoder()
    torch.testing.assert_close(model(**inputs).logits, model(**inputs).logits)


@pytest.mark.parametrize(("name", "trained"), [("mkgformer", True), ("ifaformer", True), ("hvpnet", False)])
def test_vision_encoders_are_trained_where_they_read_the_text(name, trained, encoders, corpus, tmp_path):
    model, processor = build_baseline(name, corpus["train"].features["label"].names, *encoders)
    before = {key: value.clone() for key, value in model.vision_tower.named_parameters() if value.requires_grad}
    assert bool(before) == trained
    arguments = training_arguments(
        tmp_path, max_steps=2, per_device_train_batch_size=4, dataloader_num_workers=0, report_to="none",
        eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
    )  # fmt: skip
    make_trainer(model, processor, corpus, arguments).train()
    unchanged = [key for key, value in before.items() if torch.equal(model.vision_tower.get_parameter(key), value)]
    assert unchanged == []


@pytest.mark.parametrize("model_class", JOINT)
def test_unfit_encoders_are_refused(model_class):
    name = model_class.__name__
    text = BertConfig(**TEXT).to_dict()
    rotating = BaselineConfig(text_config=text, vision_config=VISION_CONFIGS["dinov3_vit"].to_dict())
    with pytest.raises(ValueError, match=rf"{name} runs the layers.*clip_vision_model.*is of type 'dinov3_vit'"):
        model_class(rotating)
    with pytest.raises(ValueError, match=f"{name} fuses text and images; with `use_vision=False`, use MTB"):
        make(model_class, use_vision=False)
    model = make(model_class, attn_implementation={"vision_config": "flex_attention"})
    with pytest.raises(ValueError, match=r"'flex_attention' attention does not read. .*'eager' or 'sdpa'"):
        model(**tiny_inputs())
    assert CLIPVisionConfig(**VISION).model_type in VISION_FAMILIES

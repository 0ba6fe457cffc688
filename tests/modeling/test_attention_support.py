import copy

import pytest
import torch

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction, TGDIModel

from .conftest import TEXT_CONFIGS, VISION_CONFIGS, tiny_config, tiny_inputs, tiny_model

REJECTED = [
    "flex_attention",
    "paged|eager",
    "paged|sdpa",
    "flash_attention_2",
    "paged|flash_attention_2",
    "kernels-community/flash-attn2",
    "no_such_attention",
]
# Not supported for vision encoders of any class either.
UNSUPPORTED_FOR_VISION = ["paged|eager", "paged|sdpa", "kernels-community/flash-attn2", "no_such_attention"]


def forms(implementation):
    """Every form of requesting an implementation for the text encoder or the whole model."""
    return [
        implementation,
        {"": implementation},
        {"text_config": implementation},
        {"": "eager", "text_config": implementation, "vision_config": "eager"},
        {"text_config": {"": implementation}},
    ]


def implementations(model):
    config = model.config
    return [part._attn_implementation for part in (config, config.text_config, config.vision_config)]


@pytest.mark.parametrize("implementation", REJECTED)
def test_set_attn_implementation_rejects_every_form_and_changes_nothing(implementation):
    model = tiny_model()
    before = implementations(model)
    requests = forms(implementation)
    if implementation in UNSUPPORTED_FOR_VISION:
        requests += [{"vision_config": implementation}]
    for request in requests:
        with pytest.raises(ValueError, match=r'Specified `attn_implementation="[^"]+"` is not supported.*expected'):
            model.set_attn_implementation(request)
        assert implementations(model) == before


@pytest.mark.parametrize("implementation", REJECTED)
def test_configurations_and_loading_reject_every_form(implementation, tmp_path):
    tiny_model().save_pretrained(tmp_path)
    for request in forms(implementation):
        with pytest.raises(ValueError, match="is not supported"):
            tiny_config(attn_implementation=request)
        with pytest.raises(ValueError, match="is not supported"):
            tiny_config()._attn_implementation = request
        for model_class in (TGDIModel, TGDIForRelationExtraction):
            with pytest.raises(ValueError, match="is not supported"):
                model_class.from_pretrained(tmp_path, attn_implementation=request)
            with pytest.raises(ValueError, match="is not supported"):
                model_class._from_config(tiny_config(), attn_implementation=request)


@pytest.mark.parametrize("implementation", REJECTED)
def test_an_implementation_set_in_the_text_configuration_is_rejected(implementation):
    config = tiny_config()
    config.text_config._attn_implementation = implementation
    with pytest.raises(ValueError, match=r"is not supported for `text_config`.*eager or sdpa"):
        TGDIForRelationExtraction(config)
    text = copy.deepcopy(TEXT_CONFIGS["bert"])
    text._attn_implementation = implementation
    as_dict = {**TEXT_CONFIGS["bert"].to_dict(), "_attn_implementation": implementation}
    for given in (text, as_dict, {**as_dict, "attn_implementation": implementation}):
        with pytest.raises(ValueError, match="is not supported for `text_config`"):
            TGDIConfig(text_config=given, vision_config=VISION_CONFIGS["vit"])


def test_implementations_set_in_the_encoders_configurations_are_kept():
    text, vision = copy.deepcopy(TEXT_CONFIGS["bert"]), copy.deepcopy(VISION_CONFIGS["vit"])
    text._attn_implementation = "eager"
    config = TGDIConfig(text_config=text, vision_config=vision)
    assert implementations(TGDIModel(config)) == ["sdpa", "eager", "sdpa"]
    as_dict = {**vision.to_dict(), "attn_implementation": "eager"}
    assert implementations(TGDIModel(TGDIConfig(text_config=text, vision_config=as_dict))) == ["sdpa", "eager", "eager"]
    config = TGDIConfig(text_config=text, vision_config=vision, attn_implementation="sdpa")
    assert implementations(TGDIModel(config)) == ["sdpa", "sdpa", "sdpa"]


@pytest.mark.parametrize("implementation", REJECTED)
def test_an_implementation_changed_in_a_configuration_is_rejected_in_forward(implementation, inputs):
    for part in ("text_config", "vision_config") if implementation in UNSUPPORTED_FOR_VISION else ("text_config",):
        model = tiny_model()
        getattr(model.config, part)._attn_implementation = implementation
        with pytest.raises(ValueError, match=f"is not supported for `{part}`"):
            model(**inputs)


def test_unknown_sub_configurations_are_rejected():
    model = tiny_model()
    for request in ({"text_cofnig": "eager"}, {"text_encoder": "eager"}):
        with pytest.raises(ValueError, match=r"entry for 'text_\w+'; expected 'text_config', 'vision_config'"):
            model.set_attn_implementation(request)
        with pytest.raises(ValueError, match="entry for"):
            tiny_config(attn_implementation=request)


@pytest.mark.parametrize("share", [True, False])
@pytest.mark.parametrize("text", ["eager", "sdpa"])
@pytest.mark.parametrize("vision", ["eager", "sdpa"])
def test_supported_implementations_agree_in_every_combination(share, text, vision, tmp_path):
    inputs = tiny_inputs()
    model = tiny_model(toi_share_text_encoder=share, attn_implementation="eager")
    expected = model(**inputs).logits
    model.set_attn_implementation({"text_config": text, "vision_config": vision})
    assert implementations(model) == ["eager", text, vision]
    layers = model.tgdi.text_oriented.layers or model.tgdi.text_encoder.encoder.layer
    assert {layer.attention.self.config._attn_implementation for layer in layers} == {text}
    torch.testing.assert_close(model(**inputs).logits, expected)
    model.save_pretrained(tmp_path)
    request = {"": "sdpa", "text_config": text, "vision_config": vision}
    again = TGDIForRelationExtraction.from_pretrained(tmp_path, attn_implementation=request)
    assert implementations(again) == ["sdpa", text, vision]
    torch.testing.assert_close(again(**inputs).logits, expected)


def test_the_vision_encoder_runs_the_implementations_of_its_class(inputs):
    model = tiny_model()
    model.set_attn_implementation({"vision_config": "flex_attention"})
    assert implementations(model) == ["sdpa", "sdpa", "flex_attention"]
    model.tgdi.vision_tower._supports_flex_attn = False
    model.set_attn_implementation({"vision_config": "sdpa"})
    with pytest.raises(ValueError, match="does not support"):
        model.set_attn_implementation({"vision_config": "flex_attention"})


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # of the compiler
@pytest.mark.slow  # compiles the kernel
def test_flex_attention_in_the_vision_encoder_equals_sdpa(inputs):
    model = tiny_model()
    with torch.no_grad():
        expected = model(**inputs).logits
        model.set_attn_implementation({"vision_config": "flex_attention"})
        torch.testing.assert_close(model(**inputs).logits, expected)


def test_eager_attention_has_the_logits_of_sdpa(inputs):
    model = tiny_model()
    expected = first_logits(model, inputs)
    model.set_attn_implementation("eager")
    assert implementations(model) == ["eager"] * 3
    torch.testing.assert_close(first_logits(model, inputs), expected, atol=1e-6, rtol=0)


@torch.no_grad()
def first_logits(model, inputs):
    return model(**inputs).logits

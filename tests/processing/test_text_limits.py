from types import SimpleNamespace

import pytest
from transformers import BertConfig, CamembertConfig, RobertaConfig, XLMRobertaConfig

from tgdi_hf import TGDIConfig
from tgdi_hf.demo.tiny import tiny_vision_config
from tgdi_hf.processing.text_limits import DEFAULT_MAX_LENGTH, checked_limit, default_limit, position_limit


@pytest.mark.parametrize("config_class", [BertConfig, RobertaConfig, XLMRobertaConfig, CamembertConfig])
def test_processor_and_model_have_the_same_limit(config_class):
    text_config = config_class(max_position_embeddings=40, hidden_size=24, num_attention_heads=2)
    config = TGDIConfig(text_config=text_config, vision_config=tiny_vision_config(), num_labels=2)
    assert position_limit(text_config) == config.max_text_length == (40 if config_class is BertConfig else 38)


@pytest.mark.parametrize(
    ("reported", "expected"), [(128, 128), (10**30, DEFAULT_MAX_LENGTH), (None, DEFAULT_MAX_LENGTH)]
)
def test_a_tokenizer_without_a_limit_has_the_default_one(reported, expected):
    assert default_limit(SimpleNamespace(model_max_length=reported)) == expected


@pytest.mark.parametrize(
    ("config", "advice"),
    [
        (SimpleNamespace(model_type="tgdi"), "that it was built from"),
        (tiny_vision_config(), "text encoder such as BERT"),
    ],
)
def test_other_models_are_not_text_encoders(config, advice):
    with pytest.raises(ValueError, match=f"runs/demo is a model of type '{config.model_type}'; .*{advice}"):
        checked_limit(None, SimpleNamespace(model_max_length=512), config, "runs/demo")

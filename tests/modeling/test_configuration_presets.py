import pytest
from huggingface_hub.errors import StrictDataclassError

from tgdi_hf import TGDIConfig

from .conftest import TEXT_CONFIGS, tiny_config


def test_the_preset_of_the_paper():
    text, vision = TEXT_CONFIGS["bert"].to_dict(), tiny_config().vision_config.to_dict()
    config = TGDIConfig.from_preset("paper", text_config=text, vision_config=vision, num_labels=5)
    assert config.toi_num_layers == config.text_config.num_hidden_layers == 3
    assert config.toi_share_text_encoder
    assert (config.similarity_function, config.self_attention_residual, config.initial_gate) == ("dot", False, 0.5)
    dropout = (config.text_config.hidden_dropout_prob, config.text_config.attention_probs_dropout_prob)
    assert (*dropout, config.classifier_dropout) == (0.01, 0.01, 0.01)
    own = {"text_config": text, "vision_config": vision, "toi_num_layers": 1, "text_dropout": None}
    config = TGDIConfig.from_preset("paper", **own)
    assert (config.toi_num_layers, config.text_config.hidden_dropout_prob) == (1, 0.0)
    assert TGDIConfig.from_preset("default", **own).to_dict() == TGDIConfig(**own).to_dict()
    with pytest.raises(
        ValueError, match="Unknown preset 'papre'; expected one of 'default', 'paper', 'application'\\."
    ):
        TGDIConfig.from_preset("papre")


def test_the_preset_for_applications():
    config = TGDIConfig.from_preset("application", matching_loss_weight=0.5)
    assert config.direction_balanced and config.gate_attention and config.matching_loss_gate_only
    assert (config.matching_loss_weight, config.text_loss_weight) == (0.5, 1.0)
    assert (config.toi_num_layers, config.similarity_function) == (2, "cosine")  # those of the default
    with pytest.raises(StrictDataclassError, match="`direction_balanced` requires mutually exclusive labels"):
        TGDIConfig.from_preset("application", problem_type="multi_label_classification", num_labels=3)

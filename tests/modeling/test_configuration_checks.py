import pytest
from transformers import GPT2Config

from tgdi_hf import TGDIConfig

from .conftest import TEXT_CONFIGS, tiny_config


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion_lambda": 1.5}, r"fusion_lambda.*1\.5.*from 0 to 1"),
        ({"classifier_dropout": 1.0}, r"classifier_dropout.*1\.0"),
        ({"num_objects": -1}, r"num_objects.*-1"),
        ({"object_features": "boxes"}, r"object_features.*'boxes'.*'crops', 'regions'"),
        ({"prompt_grid": 0}, r"prompt_grid.*0"),
        ({"toi_num_layers": 4}, r"toi_num_layers.*4.*1 to 3"),
        ({"toi_num_layers": 0}, r"toi_num_layers.*use_text_oriented_interaction=False"),
        ({"num_labels": 1}, r"num_labels.*1"),
        ({"num_labels": 3, "id2label": {0: "None", 1: "peer"}}, r"num_labels.*3.*id2label.*2 labels.*None.*peer"),
        ({"fusion_lambda": "half"}, r"fusion_lambda"),
        ({"fusion_lambda": True}, r"fusion_lambda.*True"),
        ({"fusion_lambda": float("nan")}, r"fusion_lambda.*nan"),
        ({"classifier_dropout": float("nan")}, r"classifier_dropout.*nan"),
        ({"num_objects": True}, r"num_objects.*bool"),
        ({"num_objects": 2.0}, r"num_objects.*float"),
        ({"toi_num_layers": True}, r"toi_num_layers.*bool"),
        ({"use_matching_gate": 1}, r"use_matching_gate.*int"),
        ({"toi_share_text_encoder": "false"}, r"toi_share_text_encoder.*str"),
        ({"initializer_range": -0.02}, r"initializer_range.*-0\.02.*0 or more"),
        ({"initializer_range": float("nan")}, r"initializer_range.*nan"),
        ({"initializer_range": float("inf")}, r"initializer_range.*inf"),
        ({"initializer_range": True}, r"initializer_range.*True"),
        ({"matching_loss_weight": float("nan")}, r"matching_loss_weight.*nan"),
        ({"matching_loss_weight": float("inf")}, r"matching_loss_weight.*inf"),
        ({"branch_consistency_weight": float("nan")}, r"branch_consistency_weight.*nan"),
        ({"branch_consistency_weight": float("inf")}, r"branch_consistency_weight.*inf"),
        ({"logit_adjustment": -0.5}, r"logit_adjustment.*-0\.5; expected 0 or more"),
        ({"logit_adjustment": float("inf")}, r"logit_adjustment.*inf"),
        ({"label_log_priors": [-1.0, -2.0]}, r"label_log_priors.*-1\.0, -2\.0.*expected 5 logarithms"),
        ({"label_log_priors": [0.0, -1.0, -1.0, -1.0, 0.5]}, r"label_log_priors.*finite numbers of 0 or less"),
        ({"label_log_priors": [0.0, -1.0, -1.0, -1.0, float("-inf")]}, r"label_log_priors.*finite"),
        (
            {"logit_adjustment": 1.0, "problem_type": "multi_label_classification"},
            r"`logit_adjustment` requires mutually exclusive labels",
        ),
        ({"num_labels": True}, r"num_labels.*True; expected the number"),
        ({"num_labels": 5.0}, r"num_labels.*5\.0; expected the number"),
        ({"num_labels": "5"}, r"num_labels.*'5'; expected the number"),
        ({"num_labels": None, "id2label": {0: "None", 2: "peer"}}, r"id2label.*2: 'peer'.*from 0 on"),
        ({"num_labels": None, "id2label": {1: "None", 2: "peer"}}, r"id2label.*from 0 on"),
        ({"num_labels": None, "id2label": {"a": "None", "b": "peer"}}, r"id2label.*from 0 on"),
        ({"num_labels": None, "id2label": ["None", "peer"]}, r"id2label.*from 0 on"),
        ({"num_labels": None, "id2label": {0: 0, 1: 1}}, r"id2label.*from 0 on"),
        ({"num_labels": None, "id2label": {0: "peer", 1: "peer"}}, r"id2label.*twice"),
        ({"num_labels": None, "label2id": {"None": 0, "peer": 1}}, r"label2id.*without an `id2label`"),
        (
            {"num_labels": None, "id2label": {0: "None", 1: "peer"}, "label2id": {"peer": 0, "None": 1}},
            r"label2id.*not the inverse of `id2label`",
        ),
        ({"output_attentions": "yes"}, r"output_attentions.*yes"),
        ({"num_label": 5}, r"no field 'num_label'; did you mean 'num_labels'\?"),
        ({"use_mathcing_gate": False}, r"did you mean 'use_matching_gate'"),
        ({"zzz": 1}, r"no field 'zzz'; it has .*fusion_lambda"),
    ],
)
def test_invalid_values_are_rejected(options, message):
    with pytest.raises(Exception, match=message):
        tiny_config(**options)


def test_encoders_that_would_ignore_the_prompts_are_rejected():
    with pytest.raises(Exception, match="gpt2.*BERT-shaped"):
        TGDIConfig(text_config=GPT2Config(n_embd=32, n_layer=2, n_head=2))
    with pytest.raises(Exception, match="decoder"):
        TGDIConfig(text_config={**TEXT_CONFIGS["bert"].to_dict(), "is_decoder": True})
    with pytest.raises(Exception, match="vision transformer"):
        TGDIConfig(text_config=TEXT_CONFIGS["bert"], vision_config={"model_type": "resnet"})


@pytest.mark.parametrize(
    ("kind", "message"),
    [("vit_mae", "vit_mae.*mask_ratio.*shuffles patches"), ("swin", "swin.*depths.*from stage to stage")],
)
def test_vision_encoders_that_move_patches_are_rejected(kind, message):
    with pytest.raises(Exception, match=message):
        TGDIConfig(text_config=TEXT_CONFIGS["bert"], vision_config={"model_type": kind})

import copy
import json

import pytest
from transformers import GPT2Config

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction
from tgdi_hf.modeling.configuration_tgdi import ENTITY_MARKERS
from tgdi_hf.processing import entity_markers

from .conftest import TEXT_CONFIGS, tiny_config, tiny_model


def test_defaults_are_the_papers():
    config = TGDIConfig()
    assert (config.text_config.model_type, config.text_config.hidden_size) == ("bert", 768)
    assert (config.vision_config.model_type, config.vision_config.patch_size) == ("clip_vision_model", 32)
    assert (config.num_objects, config.fusion_lambda, config.classifier_dropout) == (3, 0.5, 0.01)


def test_round_trip_through_a_folder(tmp_path):
    config = tiny_config(text="roberta", vision="dinov2", prompt_grid=2, toi_share_text_encoder=True, num_labels=7)
    config.save_pretrained(tmp_path)
    again = TGDIConfig.from_pretrained(tmp_path)
    assert (
        again.to_dict() == {**config.to_dict(), "_name_or_path": str(tmp_path)} or again.to_dict() == config.to_dict()
    )
    assert again.text_config.model_type == "roberta"
    assert again.vision_config.model_type == "dinov2"
    assert again.num_labels == 7


@pytest.mark.parametrize(
    "names", [("", ""), ("/home/ann/bert", "google/vit-base-patch16-224"), ("./bert", "/home/ann/vit")]
)
def test_saving_leaves_a_configuration_as_it_was(tmp_path, names):
    config = tiny_config()
    config.text_config._name_or_path, config.vision_config._name_or_path = names
    config.save_pretrained(tmp_path / "first")  # adds where its code is
    before = copy.deepcopy(config.to_dict())
    config.save_pretrained(tmp_path / "second")
    assert config.to_dict() == before
    assert (config.text_config._name_or_path, config.vision_config._name_or_path) == names
    assert "/home/ann" not in (tmp_path / "second" / "config.json").read_text()


def test_a_failed_save_leaves_a_configuration_as_it_was(tmp_path):
    config = tiny_config()
    config.text_config._name_or_path = "/home/ann/bert"
    (tmp_path / "file").write_text("")
    with pytest.raises(AssertionError, match="should be a directory"):
        config.save_pretrained(tmp_path / "file")
    assert config.text_config._name_or_path == "/home/ann/bert"


def test_a_nested_wish_for_remote_code_does_not_survive():
    text = {**TEXT_CONFIGS["bert"].to_dict(), "trust_remote_code": True, "auto_map": {"AutoModel": "evil.Model"}}
    config = tiny_config()
    config = TGDIConfig(text_config=text, vision_config=config.vision_config.to_dict())
    assert not hasattr(config.text_config, "trust_remote_code")
    assert not hasattr(config.text_config, "auto_map")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fusion_lambda": 1.5}, r"fusion_lambda.*1\.5.*from 0 to 1"),
        ({"classifier_dropout": 1.0}, r"classifier_dropout.*1\.0"),
        ({"num_objects": -1}, r"num_objects.*-1"),
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
def test_impossible_values_are_refused(options, message):
    with pytest.raises(Exception, match=message):
        tiny_config(**options)


def test_encoders_that_would_swallow_the_prompts_are_refused():
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
def test_vision_encoders_whose_patches_do_not_stay_in_place_are_refused(kind, message):
    with pytest.raises(Exception, match=message):
        TGDIConfig(text_config=TEXT_CONFIGS["bert"], vision_config={"model_type": kind})


def test_a_file_of_a_later_version_still_loads(tmp_path):
    config = tiny_config()
    config.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "field_of_the_future": 1}))
    assert TGDIConfig.from_pretrained(tmp_path).num_objects == config.num_objects


@pytest.mark.parametrize(("text", "positions"), [("bert", 64), ("electra", 64), ("roberta", 63), ("camembert", 63)])
def test_positions_of_the_text_encoder(text, positions):
    """RoBERTa's first token has position `pad_token_id + 1`, here 1."""
    assert tiny_config(text=text).max_text_length == positions


def test_processor_and_model_mean_the_same_markers():
    assert tuple(entity_markers.ENTITY_MARKERS) == ENTITY_MARKERS


@pytest.mark.parametrize(
    "change",
    [
        {"fusion_lambda": 2.0},
        {"toi_num_layers": 9},
        {"num_objects": -1},
        {"symmetric_relations": "peer"},
        {"initializer_range": float("nan")},
        {"num_labels": "5"},
        {"id2label": {1: "None", 2: "peer"}},
        {"id2label": 5},
    ],
)
def test_what_loading_changes_is_checked(change, tmp_path):
    tiny_model().save_pretrained(tmp_path)
    with pytest.raises(Exception, match=f"`?{next(iter(change))}`?"):
        TGDIForRelationExtraction.from_pretrained(tmp_path, **change)
    with pytest.raises(Exception, match=f"`?{next(iter(change))}`?"):
        TGDIConfig.from_pretrained(tmp_path, **change)
    assert TGDIConfig.from_pretrained(tmp_path, fusion_lambda=0.25, return_unused_kwargs=True)[0].fusion_lambda == 0.25


def test_relations_that_loading_renames_agree_in_both_directions(tmp_path):
    tiny_config(num_labels=None, id2label={0: "None", 1: "peer"}, label2id={"None": 0, "peer": 1}).save_pretrained(
        tmp_path
    )
    for names in ({0: "None", 1: "siblings"}, {0: "None", 1: "peer", 2: "siblings"}, {"0": "None", "1": "siblings"}):
        config = TGDIConfig.from_pretrained(tmp_path, id2label=names)
        assert config.id2label == {int(i): name for i, name in names.items()}
        assert config.label2id == {name: int(i) for i, name in names.items()}
    with pytest.raises(Exception, match="label2id.*not the inverse of `id2label`"):
        TGDIConfig.from_pretrained(tmp_path, label2id={"None": 0, "siblings": 1})

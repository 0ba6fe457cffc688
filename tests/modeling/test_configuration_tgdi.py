import copy
import json

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction
from tgdi_hf.modeling.configuration_tgdi import ENTITY_MARKERS
from tgdi_hf.processing import entity_markers

from .conftest import TEXT_CONFIGS, tiny_config, tiny_model


def test_the_defaults_are_those_of_the_paper():
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
def test_saving_does_not_change_a_configuration(tmp_path, names):
    config = tiny_config()
    config.text_config._name_or_path, config.vision_config._name_or_path = names
    config.save_pretrained(tmp_path / "first")  # adds `auto_map` and `custom_pipelines`
    before = copy.deepcopy(config.to_dict())
    config.save_pretrained(tmp_path / "second")
    assert config.to_dict() == before
    assert (config.text_config._name_or_path, config.vision_config._name_or_path) == names
    assert "/home/ann" not in (tmp_path / "second" / "config.json").read_text()


def test_a_failed_save_does_not_change_a_configuration(tmp_path):
    config = tiny_config()
    config.text_config._name_or_path = "/home/ann/bert"
    (tmp_path / "file").write_text("")
    with pytest.raises(AssertionError, match="should be a directory"):
        config.save_pretrained(tmp_path / "file")
    assert config.text_config._name_or_path == "/home/ann/bert"


def test_references_to_remote_code_in_nested_configurations_are_removed():
    text = {**TEXT_CONFIGS["bert"].to_dict(), "trust_remote_code": True, "auto_map": {"AutoModel": "evil.Model"}}
    config = tiny_config()
    config = TGDIConfig(text_config=text, vision_config=config.vision_config.to_dict())
    assert not hasattr(config.text_config, "trust_remote_code")
    assert not hasattr(config.text_config, "auto_map")


def test_a_configuration_of_a_later_version_loads(tmp_path):
    config = tiny_config()
    config.save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "field_of_the_future": 1}))
    assert TGDIConfig.from_pretrained(tmp_path).num_objects == config.num_objects


@pytest.mark.parametrize(("text", "positions"), [("bert", 64), ("electra", 64), ("roberta", 63), ("camembert", 63)])
def test_positions_of_the_text_encoder(text, positions):
    """In RoBERTa, the first token has position `pad_token_id + 1`, here 1."""
    assert tiny_config(text=text).max_text_length == positions


def test_processor_and_model_use_the_same_markers():
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
def test_changes_in_loading_are_validated(change, tmp_path):
    tiny_model().save_pretrained(tmp_path)
    with pytest.raises(Exception, match=f"`?{next(iter(change))}`?"):
        TGDIForRelationExtraction.from_pretrained(tmp_path, **change)
    with pytest.raises(Exception, match=f"`?{next(iter(change))}`?"):
        TGDIConfig.from_pretrained(tmp_path, **change)
    assert TGDIConfig.from_pretrained(tmp_path, fusion_lambda=0.25, return_unused_kwargs=True)[0].fusion_lambda == 0.25


def test_configurations_saved_before_fields_were_renamed(tmp_path):
    tiny_config(similarity_function="cosine").save_pretrained(tmp_path)
    file = tmp_path / "config.json"
    saved = json.loads(file.read_text())
    for name in ("similarity_function", "initial_gate", "use_visual_prompts"):
        del saved[name]
    for scaled, function in ((False, "dot"), (True, "scaled_dot")):
        earlier = {**saved, "scale_similarity": scaled, "use_cross_modal_interaction": False}
        file.write_text(json.dumps(earlier))
        config = TGDIConfig.from_pretrained(tmp_path)
        assert (config.similarity_function, config.use_visual_prompts) == (function, False)
        assert not hasattr(config, "scale_similarity")
    # Before the scores could be scaled.
    file.write_text(json.dumps({**saved, "use_cross_modal_interaction": False}))
    config = TGDIConfig.from_pretrained(tmp_path)
    assert (config.similarity_function, config.use_visual_prompts) == ("dot", False)


def test_dropout_of_the_text_encoder_reaches_every_layer(tmp_path):
    model = tiny_model(text_dropout=0.25, toi_share_text_encoder=False)
    model.save_pretrained(tmp_path)
    for each in (model, TGDIForRelationExtraction.from_pretrained(tmp_path)):
        for body in (each.tgdi.text_encoder, each.tgdi.text_oriented):
            found = {module.p for module in body.modules() if isinstance(module, torch.nn.Dropout)}
            assert found == {0.25}
    changed = TGDIForRelationExtraction.from_pretrained(tmp_path, text_dropout=0.5)
    assert changed.tgdi.text_encoder.embeddings.dropout.p == changed.config.text_config.hidden_dropout_prob == 0.5
    with pytest.raises(StrictDataclassClassValidationError, match="`text_dropout` is 1.5"):
        tiny_config(text_dropout=1.5)


def test_an_encoder_configuration_is_not_changed_by_a_dropout():
    text = tiny_config().text_config
    before = text.to_dict()
    assert TGDIConfig(text_config=text, text_dropout=0.25).text_config.hidden_dropout_prob == 0.25
    assert text.to_dict() == before


def test_all_text_oriented_layers_are_chosen_in_loading(tmp_path):
    tiny_config(toi_num_layers=1).save_pretrained(tmp_path)
    config = TGDIConfig.from_pretrained(tmp_path, toi_num_layers=None)
    assert config.toi_num_layers == config.text_config.num_hidden_layers > 1


def test_both_label_maps_change_in_loading(tmp_path):
    tiny_config(num_labels=None, id2label={0: "None", 1: "peer"}, label2id={"None": 0, "peer": 1}).save_pretrained(
        tmp_path
    )
    for names in ({0: "None", 1: "siblings"}, {0: "None", 1: "peer", 2: "siblings"}, {"0": "None", "1": "siblings"}):
        config = TGDIConfig.from_pretrained(tmp_path, id2label=names)
        assert config.id2label == {int(i): name for i, name in names.items()}
        assert config.label2id == {name: int(i) for i, name in names.items()}
    with pytest.raises(Exception, match="label2id.*not the inverse of `id2label`"):
        TGDIConfig.from_pretrained(tmp_path, label2id={"None": 0, "siblings": 1})

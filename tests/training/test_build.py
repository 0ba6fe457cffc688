import pytest

from tgdi_hf import TGDIForRelationExtraction
from tgdi_hf.training.build import build_model


def test_direction_balanced_models_have_inverse_relations_by_default(encoders):
    names = ["None", "/per/per/peer", "/per/org/member_of", "/loc/loc/contain"]
    for options, expected in (({}, 2), ({"inverse_labels": 0}, 0), ({"symmetric_relations": ["contain"]}, 2)):
        model, _ = build_model(names, *encoders, direction_balanced=True, **options)
        assert model.config.inverse_labels == expected
        assert model.classifier.out_features == len(names) + expected
    assert build_model(names, *encoders)[0].config.inverse_labels == 0
    with pytest.raises(ValueError, match="Which relations are symmetric"):
        build_model(["None", "friend of"], "missing", "missing", direction_balanced=True)


def test_presets(encoders):
    names = ["None", "/per/per/peer"]
    model, _ = build_model(names, *encoders, preset="paper", initial_gate=0.75)
    assert model.config.toi_num_layers == model.config.text_config.num_hidden_layers
    assert model.config.initial_gate == 0.75
    assert model.tgdi.text_encoder.config.hidden_dropout_prob == 0.01
    with pytest.raises(ValueError, match="Unknown preset 'papre'"):
        build_model(names, *encoders, preset="papre")
    model, _ = build_model(["None", "/per/per/peer", "/per/org/member_of"], *encoders, preset="application")
    assert model.config.direction_balanced and model.config.inverse_labels == 1
    model, _ = build_model(names, *encoders, preset="application", direction_balanced=False)
    assert not model.config.direction_balanced and model.config.inverse_labels == 0


def test_the_vision_encoder_is_frozen_unless_asked_for(encoders):
    names = ["None", "/per/per/peer"]
    model, processor = build_model(names, *encoders)
    direct = TGDIForRelationExtraction.from_text_vision_pretrained(*encoders, processor.tokenizer, num_labels=2)
    trained, _ = build_model(names, *encoders, freeze_vision=False)
    for found, frozen in ((model, True), (direct, True), (trained, False)):
        assert {parameter.requires_grad for parameter in found.tgdi.vision_tower.parameters()} == {not frozen}


def test_images_and_objects_are_resized_as_requested(encoders):
    names = ["None", "/per/per/peer"]
    processor = build_model(names, *encoders)[1]
    assert (processor.image_resize, processor.object_resize) == ("crop", "squash")
    processor = build_model(names, *encoders, image_resize="squash", object_resize="crop")[1]
    assert (processor.image_resize, processor.object_resize) == ("squash", "crop")
    processor = build_model(names, *encoders, preset="paper")[1]
    assert (processor.image_resize, processor.object_resize) == ("squash", "squash")
    processor = build_model(names, *encoders, preset="paper", image_resize="crop")[1]
    assert (processor.image_resize, processor.object_resize) == ("crop", "squash")
    with pytest.raises(ValueError, match="`image_resize` is 'fit'; expected 'crop' or 'squash'"):
        build_model(names, *encoders, image_resize="fit")


def test_model_and_processor_read_regions_together(encoders):
    names = ["None", "/per/per/peer"]
    model, processor = build_model(names, *encoders, object_features="regions")
    assert model.config.object_features == processor.object_features == "regions"
    assert processor.image_resize == "squash"
    model, processor = build_model(names, *encoders, object_features="regions", image_resize="crop")
    assert processor.image_resize == "crop"
    with pytest.raises(ValueError, match="object_features"):
        build_model(names, *encoders, object_features="boxes")

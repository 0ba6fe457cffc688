import pytest

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

"""The configuration that TGDI shares with other relation classifiers."""

import json

import pytest
from huggingface_hub.errors import StrictDataclassClassValidationError

from tgdi_hf import TGDIConfig
from tgdi_hf.modeling.relation_configuration import RelationConfig

from .conftest import TEXT_CONFIGS, VISION_CONFIGS


def make(**options):
    return RelationConfig(
        text_config=TEXT_CONFIGS["bert"].to_dict(), vision_config=VISION_CONFIGS["vit"].to_dict(), **options
    )


def test_tgdi_adds_its_mechanisms_to_the_shared_fields():
    assert issubclass(TGDIConfig, RelationConfig)
    shared, own = set(RelationConfig.__annotations__), set(TGDIConfig.__annotations__)
    assert {"num_objects", "negative_label", "inverse_labels", "text_revision"} <= shared
    assert {"fusion_lambda", "use_matching_gate", "toi_num_layers"} <= own - shared


def test_fields_of_tgdi_are_unknown():
    with pytest.raises(ValueError, match="RelationConfig has no field 'fusion_lambda'"):
        make(fusion_lambda=0.5)
    with pytest.raises(ValueError, match="RelationConfig has no field 'num_object'; did you mean 'num_objects'"):
        make(num_object=2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_objects": -1}, "`num_objects` is -1; expected 0 or more"),
        ({"classifier_dropout": 1.0}, "`classifier_dropout` is 1.0; expected 0 ≤ dropout < 1"),
        ({"inverse_labels": 1}, "`inverse_labels` is 1 with 2 labels"),
    ],
)
def test_shared_options_are_validated(options, message):
    with pytest.raises(StrictDataclassClassValidationError, match=message):
        make(**options)


def test_saved_configuration_loads_without_local_folders(tmp_path):
    config = make(id2label={0: "None", 1: "peer"})
    config.text_config._name_or_path = str(tmp_path)
    config.save_pretrained(tmp_path / "saved")
    assert config.text_config._name_or_path == str(tmp_path)
    assert str(tmp_path) not in (tmp_path / "saved" / "config.json").read_text()
    assert [path.name for path in (tmp_path / "saved").iterdir()] == ["config.json"]  # no code beside it
    found = json.loads((tmp_path / "saved" / "config.json").read_text())
    loaded = RelationConfig.from_dict(found)
    assert loaded.id2label == {0: "None", 1: "peer"} and loaded.none_label == 0
    # Another number of labels discards the saved ones.
    assert RelationConfig.from_dict(found, num_labels=3).id2label == {i: f"LABEL_{i}" for i in range(3)}

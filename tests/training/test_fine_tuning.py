import json

import pytest

from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor, fine_tune

QUICK = dict(num_train_epochs=1, dataloader_num_workers=0, disable_tqdm=True)


@pytest.fixture(scope="module")
def few(corpus):
    return {"train": corpus["train"].select(range(16)), "validation": corpus["validation"].select(range(8))}


def test_a_run_saves_model_processor_metrics_and_its_settings(few, encoders, tmp_path):
    metrics = fine_tune(few, tmp_path, *encoders, model_options={"num_objects": 1}, **QUICK)
    assert 0 <= metrics["eval_f1"] <= 1
    assert TGDIForRelationExtraction.from_pretrained(tmp_path).config.num_objects == 1
    assert TGDIProcessor.from_pretrained(tmp_path).num_objects == 1
    results = json.loads((tmp_path / "all_results.json").read_text())
    assert results["eval_f1"] == metrics["eval_f1"] and "train_loss" in results
    settings = json.loads((tmp_path / "run.json").read_text())
    assert settings["train_rows"] == 16 and settings["model_options"] == {"num_objects": 1}
    assert "disable_tqdm" not in settings  # may change when the run is resumed
    with pytest.raises(ValueError, match="checkpoints of a run with another seed"):
        fine_tune(few, tmp_path, *encoders, model_options={"num_objects": 1}, seed=1, resume=True, **QUICK)
    (tmp_path / "model.safetensors").unlink()
    again = fine_tune(few, tmp_path, *encoders, model_options={"num_objects": 1}, resume=True, **QUICK)
    assert again["eval_f1"] == metrics["eval_f1"] and (tmp_path / "model.safetensors").exists()


def test_swapped_images_distinguish_runs(few, encoders, tmp_path):
    options = dict(QUICK, model_options={"num_objects": 1}, swap_images=0.25)
    fine_tune(few, tmp_path / "run", *encoders, vision_features=tmp_path / "features", **options)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["swap_images"] == 0.25
    with pytest.raises(ValueError, match="checkpoints of a run with another swap_images"):
        fine_tune(few, tmp_path / "run", *encoders, **{**options, "swap_images": 0.0}, resume=True)


def test_the_preset_for_applications_swaps_images(few, encoders, tmp_path):
    options = {"preset": "application", "num_objects": 1, "toi_num_layers": 1}
    metrics = fine_tune(few, tmp_path / "swaps", *encoders, model_options=options, **QUICK)
    assert json.loads((tmp_path / "swaps" / "run.json").read_text())["swap_images"] == 0.1
    config = TGDIForRelationExtraction.from_pretrained(tmp_path / "swaps").config
    assert config.direction_balanced and config.inverse_labels > 0
    assert config.gate_is_probability and config.gate_calibration_error == metrics["eval_gate_ece"]
    fine_tune(few, tmp_path / "none", *encoders, model_options=options, swap_images=0.0, **QUICK)
    assert json.loads((tmp_path / "none" / "run.json").read_text())["swap_images"] is None
    assert not TGDIForRelationExtraction.from_pretrained(tmp_path / "none").config.gate_is_probability


def test_a_run_is_not_resumed_with_other_defaults(few, encoders, tmp_path):
    options = {"num_objects": 1}
    fine_tune(few, tmp_path, *encoders, model_options=options, **QUICK)
    (checkpoint,) = tmp_path.glob("checkpoint-*")
    config, processor = checkpoint / "config.json", checkpoint / "processor_config.json"
    saved = json.loads(config.read_text())
    config.write_text(json.dumps({**saved, "fusion_lambda": 0.25}))
    options_of_processor = json.loads(processor.read_text())
    del options_of_processor["object_resize"]  # as before this option existed
    processor.write_text(json.dumps(options_of_processor))
    expected = "other defaults: fusion_lambda=0.25, now 0.5; object_resize='crop', now 'squash'. Train in another"
    with pytest.raises(ValueError, match=expected):
        fine_tune(few, tmp_path, *encoders, model_options=options, resume=True, **QUICK)


@pytest.mark.parametrize("control", ["blank-images", "noise-images"])
def test_kept_features_are_refused_for_drawn_images(few, encoders, tmp_path, control):
    with pytest.raises(ValueError, match=f"'{control}' draws new images.*omit `vision_features`"):
        fine_tune(few, tmp_path / "run", *encoders, vision_features=tmp_path / "features", control=control)
    assert not (tmp_path / "run").exists()

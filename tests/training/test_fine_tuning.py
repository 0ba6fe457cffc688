import functools
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


def test_batches_are_halved_when_memory_runs_out(few, encoders, tmp_path, monkeypatch):
    forward, sizes = TGDIForRelationExtraction.forward, []

    @functools.wraps(forward)  # `Trainer` reads the names of its arguments
    def limited(self, *arguments, **options):
        if self.training:
            sizes.append(len(options["input_ids"]))
            if sizes[-1] > 4:
                raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(self, *arguments, **options)

    monkeypatch.setattr(TGDIForRelationExtraction, "forward", limited)
    options = dict(QUICK, model_options={"num_objects": 1}, per_device_train_batch_size=16, early_stopping=1)
    metrics = fine_tune(few, tmp_path / "auto", *encoders, auto_batch_size=True, **options)
    assert sizes == [16, 8, 4, 4, 4, 4] and metrics["train_batch_size"] == 4
    state = json.loads((tmp_path / "auto" / "trainer_state.json").read_text())
    assert state["global_step"] == 1  # 16 rows per step, as asked for
    same = {**options, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    assert fine_tune(few, tmp_path / "same", *encoders, **same)["eval_loss"] == pytest.approx(metrics["eval_loss"])


def test_a_run_stops_early_and_resumes_its_count(few, encoders, tmp_path):
    options = dict(QUICK, model_options={"num_objects": 1}, num_train_epochs=6, learning_rate=0.0)
    fine_tune(few, tmp_path, *encoders, early_stopping=2, **options)
    state = json.loads((tmp_path / "trainer_state.json").read_text())
    assert state["epoch"] == 3  # two epochs after the first, which stays the best without learning
    (last,) = (tmp_path / f"checkpoint-{state['global_step']}",)
    counted = json.loads((last / "trainer_state.json").read_text())["stateful_callbacks"]["EarlyStoppingCallback"]
    assert counted["attributes"] == {"early_stopping_patience_counter": 2}


def test_a_missing_tracker_is_found_before_training(few, tmp_path):
    with pytest.raises(ValueError, match="`report_to` is 'excel'"):
        fine_tune(few, tmp_path / "run", "missing", "missing", report_to="excel")
    assert not (tmp_path / "run").exists()


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

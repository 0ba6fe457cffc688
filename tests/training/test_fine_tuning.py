import functools
import json
import shutil

import pytest
from safetensors.torch import load_file

from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor, fine_tune
from tgdi_hf.training.resumed_state import saved_results

QUICK = dict(num_train_epochs=1, dataloader_num_workers=0, disable_tqdm=True)


@pytest.fixture(scope="module")
def few(corpus):
    return {"train": corpus["train"].select(range(16)), "validation": corpus["validation"].select(range(8))}


def test_a_run_saves_model_processor_metrics_and_its_settings(few, encoders, tmp_path):
    metrics = fine_tune(few, tmp_path, *encoders, model_options={"num_objects": 1}, hub_token="hf_secret", **QUICK)
    assert 0 <= metrics["eval_f1"] <= 1
    assert TGDIForRelationExtraction.from_pretrained(tmp_path).config.num_objects == 1
    assert TGDIProcessor.from_pretrained(tmp_path).num_objects == 1
    results = json.loads((tmp_path / "all_results.json").read_text())
    assert results["eval_f1"] == metrics["eval_f1"] and "train_loss" in results
    settings = json.loads((tmp_path / "run.json").read_text())
    assert settings["train_rows"] == 16 and settings["model_options"] == {"num_objects": 1}
    assert not {"disable_tqdm", "hub_token"} & set(settings)  # may change when the run is resumed
    other = {**few, "validation": few["train"]}
    with pytest.raises(ValueError, match="checkpoints of a run with another validation_digest"):
        fine_tune(other, tmp_path, *encoders, model_options={"num_objects": 1}, resume=True, **QUICK)
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
    forward, sizes, limits = TGDIForRelationExtraction.forward, [], [4]

    @functools.wraps(forward)  # `Trainer` reads the names of its arguments
    def limited(self, *arguments, **options):
        size = len(options["input_ids"])
        sizes.append((self.training, size))
        if limits and size > 4:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return forward(self, *arguments, **options)

    monkeypatch.setattr(TGDIForRelationExtraction, "forward", limited)
    options = dict(QUICK, model_options={"num_objects": 1}, per_device_train_batch_size=16, early_stopping=1)
    options["per_device_eval_batch_size"] = 16  # does not fit either
    metrics = fine_tune(few, tmp_path / "auto", *encoders, auto_batch_size=True, **options)
    assert [size for training, size in sizes if training] == [16, 8, 4, 4, 4, 4] and metrics["train_batch_size"] == 4
    assert {size for training, size in sizes if not training} == {4}
    # Resuming the finished run trains nothing, and leaves the numbers of its training as they are.
    results = saved_results(tmp_path / "auto")
    again = fine_tune(few, tmp_path / "auto", *encoders, auto_batch_size=True, resume=True, **options)
    assert again["train_batch_size"] == 4
    assert len([size for training, size in sizes if training]) == 6
    assert saved_results(tmp_path / "auto")["train_loss"] == results["train_loss"] > 0
    record = json.loads((tmp_path / "auto" / "training.json").read_text())["hyperparameters"]
    assert (record["per_device_train_batch_size"], record["gradient_accumulation_steps"]) == (4, 4)
    limits.clear()
    state = json.loads((tmp_path / "auto" / "trainer_state.json").read_text())
    assert state["global_step"] == 1  # 16 rows per step, as asked for
    same = {**options, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 4}
    assert fine_tune(few, tmp_path / "same", *encoders, **same)["eval_loss"] == pytest.approx(metrics["eval_loss"])


def test_no_batch_is_left_without_the_image_of_another_row(few, tmp_path, monkeypatch):
    monkeypatch.setattr("tgdi_hf.training.fine_tuning.train_within_memory", lambda train, first, smallest: smallest)

    def smallest(**options):
        return fine_tune(few, tmp_path, str(tmp_path), str(tmp_path), auto_batch_size=True, **options)

    assert smallest() == 1 and smallest(swap_images=0.1) == 2
    assert smallest(model_options={"preset": "application"}, swap_images=0.0) == 2  # for the matching loss
    assert smallest(model_options={"preset": "application", "matching_loss_weight": 0}, swap_images=0.0) == 1


def test_a_run_stops_early_and_resumes_its_count(few, encoders, tmp_path, monkeypatch):
    options = dict(QUICK, model_options={"num_objects": 1}, num_train_epochs=6, learning_rate=0.0, save_total_limit=3)
    metrics = fine_tune(few, tmp_path, *encoders, early_stopping=2, **options)
    state = json.loads((tmp_path / "trainer_state.json").read_text())
    assert state["epoch"] == 3  # two epochs after the first, which stays the best without learning
    (last,) = (tmp_path / f"checkpoint-{state['global_step']}",)
    counted = json.loads((last / "trainer_state.json").read_text())["stateful_callbacks"]["EarlyStoppingCallback"]
    assert counted["attributes"] == {"early_stopping_patience_counter": 2}
    # It has stopped: resuming it trains no further epoch, and gives the same model.
    results, saved = saved_results(tmp_path), load_file(tmp_path / "model.safetensors")
    with monkeypatch.context() as patched:
        patched.setattr("transformers.Trainer.training_step", None)
        again = fine_tune(few, tmp_path, *encoders, early_stopping=2, resume=True, **options)
    assert {name: again[name] for name in ("eval_f1", "eval_loss")} == pytest.approx(
        {name: metrics[name] for name in ("eval_f1", "eval_loss")}
    )
    assert json.loads((tmp_path / "trainer_state.json").read_text())["epoch"] == 3
    assert saved_results(tmp_path)["train_loss"] == results["train_loss"] > 0
    assert all(value.equal(saved[name]) for name, value in load_file(tmp_path / "model.safetensors").items())
    # Interrupted one epoch earlier, it has counted one epoch, and stops after one more, also in another folder.
    shutil.rmtree(last)
    moved = tmp_path.rename(tmp_path.with_name(f"{tmp_path.name}-moved"))
    fine_tune(few, moved, *encoders, early_stopping=2, resume=True, **options)
    state = json.loads((moved / "trainer_state.json").read_text())
    assert state["epoch"] == 3 and state["best_model_checkpoint"] == str(moved / "checkpoint-1")


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

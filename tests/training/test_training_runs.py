"""Runs of a trainer: learning, resuming, and several processes."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
from transformers import TrainerCallback

from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor
from tgdi_hf.data.dataset_columns import undecoded

from .trainers import losses, trainer_for


@pytest.mark.no_cover
def test_training_lowers_the_loss_and_saves_the_best_model_with_its_processor(corpus, tmp_path):
    trainer = trainer_for(corpus, tmp_path, num_train_epochs=4)
    trainer.train()
    assert losses(trainer)[-1] < losses(trainer)[0]
    scored = [entry for entry in trainer.state.log_history if "eval_f1" in entry]
    assert len(scored) == 4
    assert {"eval_accuracy", "eval_precision", "eval_recall"} <= scored[0].keys()
    assert trainer.state.best_metric == max(entry["eval_f1"] for entry in scored)
    again = TGDIForRelationExtraction.from_pretrained(trainer.state.best_model_checkpoint)
    TGDIProcessor.from_pretrained(trainer.state.best_model_checkpoint)
    assert len([*tmp_path.glob("checkpoint-*")]) == 2
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_evaluation_gathers_only_logits(corpus, tmp_path):
    trainer = trainer_for(corpus, tmp_path)
    output = trainer.predict(undecoded(corpus["test"]))
    assert output.predictions.shape == (32, 9)


@pytest.mark.no_cover
def test_accumulated_steps_equal_one_large_step(corpus, tmp_path):
    """2 × 8 rows and 1 × 16 give the same losses and the same weights."""
    # Dropout off: it would draw other masks for other batches.
    results = []
    for name, size, steps in (("large", 16, 1), ("small", 8, 2)):
        trainer = trainer_for(
            corpus, tmp_path / name, per_device_train_batch_size=size, gradient_accumulation_steps=steps,
            eval_strategy="no", save_strategy="no", load_best_model_at_end=False,
        )  # fmt: skip
        for module in trainer.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        trainer.train()
        results.append((losses(trainer), dict(trainer.model.named_parameters())))
    assert results[0][0] == pytest.approx(results[1][0], abs=1e-3)
    for name, value in results[0][1].items():
        torch.testing.assert_close(value, results[1][1][name], atol=2e-3, rtol=1e-2, msg=lambda m, n=name: f"{n}: {m}")


@pytest.mark.no_cover
def test_runs_with_the_same_seed_have_the_same_losses(corpus, tmp_path):
    curves = []
    for name in "ab":
        trainer = trainer_for(corpus, tmp_path / name)
        trainer.train()
        curves.append(losses(trainer))
    assert curves[0] == curves[1]


@pytest.mark.no_cover
@pytest.mark.parametrize("swap_images", [0.0, 0.5])
def test_a_resumed_run_has_the_losses_of_an_uninterrupted_one(corpus, tmp_path, swap_images):
    class Stop(TrainerCallback):
        def on_epoch_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.epoch >= 1

    whole = trainer_for(corpus, tmp_path / "whole", num_train_epochs=2, swap_images=swap_images)
    whole.train()
    broken = trainer_for(corpus, tmp_path / "broken", num_train_epochs=2, swap_images=swap_images)
    broken.add_callback(Stop())
    broken.train()
    resumed = trainer_for(corpus, tmp_path / "broken", num_train_epochs=2, swap_images=swap_images)
    resumed.train(resume_from_checkpoint=True)
    assert losses(resumed) == pytest.approx(losses(whole), abs=1e-6)


def test_bf16_and_activation_checkpointing(corpus, tmp_path):
    trainer = trainer_for(corpus, tmp_path, bf16=True, activation_checkpointing=True, max_steps=2)
    trainer.train()
    plain = trainer_for(corpus, tmp_path / "plain", max_steps=2)
    plain.train()
    assert len(losses(plain)) == 2
    assert losses(trainer) == pytest.approx(losses(plain), rel=0.05)  # the same steps, but for rounding


TRAIN = """
import sys
from datasets import load_from_disk
from transformers import set_seed
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.run_record import last_checkpoint
from tgdi_hf.training.trainer import make_trainer
corpus, output, resume, objects = load_from_disk(sys.argv[1]), sys.argv[2], sys.argv[3] == "resume", sys.argv[4:]
set_seed(0)
model, processor = tiny_tgdi(corpus, object_features=objects[0] if objects else "crops")
if objects:
    model.config.num_objects = processor.num_objects = 3
arguments = training_arguments(
    output, num_train_epochs=3, learning_rate=1e-3, logging_steps=1, per_device_train_batch_size=4,
    dataloader_num_workers=0, disable_tqdm=True, save_strategy="steps", save_steps=5, eval_strategy="no",
    load_best_model_at_end=False,
)
trainer = make_trainer(model, processor, corpus, arguments)
trainer.train(resume_from_checkpoint=last_checkpoint(output) if resume else None)
if trainer.is_world_process_zero():
    trainer.save_state()
    trainer.save_model()
"""


@pytest.fixture
def script(corpus, tmp_path):
    corpus.save_to_disk(tmp_path / "corpus")
    (tmp_path / "train.py").write_text(TRAIN)
    return [str(tmp_path / "train.py"), str(tmp_path / "corpus")]


def saved_losses(folder):
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return {entry["step"]: entry["loss"] for entry in history if "loss" in entry}


@pytest.mark.slow
def test_a_killed_run_resumes_on_the_same_loss_curve(script, tmp_path):
    subprocess.run([sys.executable, *script, str(tmp_path / "whole"), "fresh"], check=True)
    killed = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, *script, str(killed), "fresh"])
    deadline = time.monotonic() + 300
    while not (killed / "checkpoint-20").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    subprocess.run([sys.executable, *script, str(killed), "resume"], check=True)
    whole, resumed = saved_losses(tmp_path / "whole"), saved_losses(killed)
    assert len(whole) == 72
    assert resumed == pytest.approx(whole, abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("objects", [[], ["regions"]], ids=["no objects", "regions"])
def test_two_processes_train_together(objects, script, tmp_path):
    # `--multi_gpu` makes accelerate start two processes; the variable below makes them CPU processes over gloo.
    launch = "accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1"
    launch += " --mixed_precision no --dynamo_backend no"
    command = [sys.executable, "-m", *launch.split()]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "true"}
    subprocess.run([*command, *script, str(tmp_path / "two"), "fresh", *objects], check=True, env=environment)
    curve = saved_losses(tmp_path / "two")
    assert len(curve) == 36  # half as many steps: each takes the rows of both
    assert curve[36] < curve[1]
    config = TGDIForRelationExtraction.from_pretrained(tmp_path / "two").config
    assert config.object_features == (objects or ["crops"])[0]
    assert config.num_objects == (3 if objects else 0)

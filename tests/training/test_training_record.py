import json
from types import SimpleNamespace

import torch
from transformers import TrainingArguments

from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.training_record import changed_arguments, record_training, recorded_versions


def test_hyperparameters_are_those_that_differ_from_the_defaults(tmp_path):
    found = changed_arguments(training_arguments(tmp_path / "secret", hub_token="hf_secret", weight_decay=0.0))
    assert found == {
        "learning_rate": 3e-5,
        "warmup_steps": 0.1,
        "num_train_epochs": 6,
        "per_device_train_batch_size": 16,
        "seed": 0,
    }
    plain = TrainingArguments(str(tmp_path), lr_scheduler_type="cosine", optim="sgd")
    assert changed_arguments(plain) == {
        "learning_rate": 5e-5,
        "lr_scheduler_type": "cosine",
        "num_train_epochs": 3.0,
        "per_device_train_batch_size": 8,
        "optim": "sgd",
        "seed": 42,
    }


def trainer(arguments, is_first=True, device="cpu"):
    arguments = SimpleNamespace(
        **{name: getattr(arguments, name) for name in vars(arguments)}, to_dict=arguments.to_dict,
        device=torch.device(device), world_size=2,
    )  # fmt: skip
    return SimpleNamespace(args=arguments, is_world_process_zero=lambda: is_first)


def test_the_first_process_records_the_training(tmp_path, monkeypatch):
    arguments = training_arguments(tmp_path)
    record_training(trainer(arguments, is_first=False), tmp_path, 1.5)
    assert not (tmp_path / "training.json").exists()
    record_training(trainer(arguments), tmp_path, 1.5)
    record = json.loads((tmp_path / "training.json").read_text())
    assert (record["device"], record["processes"], record["seconds"]) == ("cpu", 2, 1.5)
    assert record["versions"]["torch"] == torch.__version__ and record["hyperparameters"]["warmup_steps"] == 0.1
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU {device.index}")
    record_training(trainer(arguments, device="cuda:1"), tmp_path, None)
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["device"] == "GPU 1" and "seconds" not in record


def test_versions_of_packages_that_are_not_installed_are_omitted():
    assert set(recorded_versions(["torch", "no-such-package"])) == {"python", "torch"}

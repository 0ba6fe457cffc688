import json

import pytest

from tgdi_hf import fine_tune
from tgdi_hf.hub.model_card import model_card
from tgdi_hf.hub.training_facts import training_facts

# As `Trainer` logs two epochs of two steps, of which the first is the best, and evaluates that again at the end.
HISTORY = [
    {"eval_loss": 2.0, "eval_f1": 0.5, "epoch": 1.0, "step": 2},
    {"loss": 1.5, "epoch": 1.5, "step": 3},
    {"eval_loss": 2.25, "eval_f1": 0.4, "epoch": 2.0, "step": 4},
    {"train_loss": 1.75, "epoch": 2.0, "step": 4},
    {"eval_loss": 2.0, "eval_f1": 0.5, "epoch": 2.0, "step": 4},
]


def write(folder, **files):
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))


def test_the_card_describes_the_training(model, tmp_path):
    write(
        tmp_path,
        run={"text_model": "/secret/bert", "fusion_learning_rate": 1e-3, "swap_images": None,
             "model_options": {"freeze_vision": True, "toi_num_layers": 1}},
        training={"hyperparameters": {"learning_rate": 3e-5, "seed": 4}, "device": "NVIDIA H100", "processes": 2,
                  "seconds": 3725.4, "versions": {"python": "3.11.7", "torch": "2.9.1"}},
        trainer_state={"log_history": HISTORY, "best_global_step": 2},
    )  # fmt: skip
    facts = training_facts(tmp_path)
    text = model_card(model, "me/tiny", training=facts).text
    section = text[text.index("## Training") : text.index("## Intended use")]
    assert (
        section
        == """## Training

| hyperparameter | value |
|---|---|
| `learning_rate` | 3e-05 |
| `seed` | 4 |
| `fusion_learning_rate` | 0.001 |
| `freeze_vision` | True |

- **Time:** 1 h 2 min
- **Device:** NVIDIA H100, 2 processes
- **Trained with:** python 3.11.7, torch 2.9.1

| epoch | step | training loss | validation loss | validation F1, % |
|---|---|---|---|---|
| **1** | 2 | not logged | 2.0000 | 50.0 |
| 2 | 4 | 1.5000 | 2.2500 | 40.0 |

The training loss is the one logged last. The row in bold is that of this model.

"""
    )


def test_unknown_facts_are_omitted(model, tmp_path):
    assert training_facts("user/name") == training_facts(tmp_path) == {}
    assert "## Training" not in model_card(model, "me/tiny").text
    write(tmp_path, trainer_state={"log_history": [{"eval_loss": 2.0, "epoch": 1, "step": 2}, {"loss": 1, "step": 3}]})
    text = model_card(model, "me/tiny", training=training_facts(tmp_path)).text
    assert "| 1 | 2 | not logged | 2.0000 |  |\n\n## Intended use" in text and "hyperparameter" not in text
    assert "- **Device:** CPU\n" in model_card(model, "me/tiny", training={"device": "CPU"}).text
    # A run of an earlier version, which recorded the arguments that were passed.
    write(tmp_path, run={"learning_rate": 1e-4, "output": "x", "seed": 1}, trainer_state={})
    assert training_facts(tmp_path) == {"hyperparameters": {"learning_rate": 1e-4, "seed": 1}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{bad", "training.json is not JSON: Expecting property name"),
        ("[1]", r"training.json contains \[1\]; expected a JSON object"),
        (b"\xff", "training.json is not JSON: 'utf-8' codec"),
    ],
)
def test_a_damaged_file_is_named(tmp_path, content, message):
    file = tmp_path / "training.json"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message):
        training_facts(tmp_path)


@pytest.mark.parametrize(("seconds", "expected"), [(59.6, "1 min 0 s"), (9, "9 s"), (7322, "2 h 2 min")])
def test_training_times(tmp_path, seconds, expected):
    write(tmp_path, training={"seconds": seconds})
    assert training_facts(tmp_path) == {"time": expected}


def test_facts_of_a_training(corpus, encoders, tmp_path):
    few = {"train": corpus["train"].select(range(8)), "validation": corpus["validation"].select(range(8))}
    metrics = fine_tune(
        few, tmp_path, *encoders, fusion_learning_rate=1e-3, model_options={"num_objects": 1, "freeze_vision": True},
        num_train_epochs=2, per_device_train_batch_size=4, logging_steps=1, dataloader_num_workers=0, disable_tqdm=True,
    )  # fmt: skip
    facts = training_facts(tmp_path)
    assert facts["hyperparameters"] == {
        "learning_rate": 3e-5, "warmup_steps": 0.1, "num_train_epochs": 2, "per_device_train_batch_size": 4,
        "weight_decay": 0.01, "seed": 0, "fusion_learning_rate": 1e-3, "freeze_vision": True,
    }  # fmt: skip
    assert [(row["epoch"], row["step"]) for row in facts["epochs"]] == [("1", 2), ("2", 4)]
    (best,) = [row for row in facts["epochs"] if row["best"]]
    assert best["eval_f1"] == pytest.approx(metrics["eval_f1"]) and best["loss"] > 0
    assert facts["device"] and facts["time"].endswith(" s") and "transformers" in facts["versions"]
    fine_tune(
        few, tmp_path, *encoders, fusion_learning_rate=1e-3, model_options={"num_objects": 1, "freeze_vision": True},
        num_train_epochs=2, per_device_train_batch_size=4, logging_steps=1, dataloader_num_workers=0, disable_tqdm=True,
        resume=True,
    )  # fmt: skip
    assert "time" not in training_facts(tmp_path)  # that of the last part only

import gc
import json
import sys

import pytest
from datasets import DatasetDict

from tgdi_hf import fine_tune
from tgdi_hf.training.tuning import SEARCH_SPACE, Range, SearchTrainer, _best_of, split_settings, tune

optuna = pytest.importorskip("optuna")

QUICK = dict(num_train_epochs=2, dataloader_num_workers=0, disable_tqdm=True, report_to="none")
SPACE = {
    "learning_rate": Range(1e-4, 1e-2, 2e-3, log=True),
    "fusion_learning_rate": Range(1e-4, 1e-2, 2e-3, log=True),
    "fusion_lambda": Range(0.1, 0.9, 0.5),
}


@pytest.fixture(autouse=True)
def without_collection(monkeypatch):
    """accelerate collects garbage six times per trial, which takes longer than a tiny model."""
    monkeypatch.setattr(gc, "collect", lambda *arguments: 0)


class WithoutTest(DatasetDict):
    """Splits of which the last must not be read."""

    def __getitem__(self, name):
        assert name != "test", "the search read the test split"
        return super().__getitem__(name)


@pytest.fixture(scope="module")
def few(corpus):
    return WithoutTest(
        {"train": corpus["train"].select(range(32)), "validation": corpus["validation"].select(range(16)),
         "test": corpus["test"].select(range(2))}
    )  # fmt: skip


def study_in(folder):
    backend = optuna.storages.journal.JournalFileBackend(str(folder / "study.journal"))
    return optuna.load_study(study_name="tgdi", storage=optuna.storages.JournalStorage(backend))


def test_the_best_trial_is_selected_by_validation_f1_and_reproduced(few, encoders, tmp_path):
    options = {"num_objects": 1, "toi_num_layers": 1}
    best = tune(few, tmp_path / "search", *encoders, trials=3, space=SPACE, model_options=options, **QUICK)
    study = study_in(tmp_path / "search")
    values = [trial.value for trial in study.trials]
    assert len(values) == 3 and best["validation"]["eval_f1"] == max(values) > 0
    assert best["trials"] == {"completed": 3, "pruned": 0, "failed": 0}
    assert study.trials[0].params == {name: values.start for name, values in SPACE.items()}
    assert best["first_trial_f1"] == values[0]
    # The value of a trial is that of its best epoch, not of its last.
    for trial in study.trials:
        assert trial.value == max(trial.intermediate_values.values()) and len(trial.intermediate_values) == 2
    assert json.loads((tmp_path / "search" / "best.json").read_text()) == best and "command" not in best
    assert {path.name for path in (tmp_path / "search").iterdir()} == {"study.journal", "best.json"}  # no checkpoints
    settings = best["settings"]
    assert set(settings["arguments"]) == {"learning_rate", "fusion_learning_rate"}
    assert set(settings["model_options"]) == {"fusion_lambda"}
    again = fine_tune(
        few, tmp_path / "best", *encoders, model_options={**options, **settings["model_options"]},
        **settings["arguments"], **QUICK,
    )  # fmt: skip
    assert {name: again[name] for name in best["validation"]} == pytest.approx(best["validation"], abs=1e-6)


def test_a_search_is_resumed(few, encoders, tmp_path, monkeypatch):
    options = dict(QUICK, model_options={"num_objects": 1}, space=SPACE, num_train_epochs=1)

    def interrupted(self, *arguments, **more):
        if self._trial.number == 1 and not interruptions:
            interruptions.append(self._trial.params)
            raise KeyboardInterrupt
        return step(self, *arguments, **more)

    interruptions, step = [], SearchTrainer.training_step
    monkeypatch.setattr(SearchTrainer, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tune(few, tmp_path, *encoders, trials=3, **options)
    assert not (tmp_path / "best.json").exists()
    killed = study_in(tmp_path).ask()  # the interrupted trial starts again, and its process is killed
    killed.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
    best = tune(few, tmp_path, *encoders, trials=3, **options)
    trials = study_in(tmp_path).trials
    assert [trial.state.name for trial in trials] == ["COMPLETE", "FAIL", "FAIL", "COMPLETE", "COMPLETE"]
    assert trials[3].params == trials[1].params == interruptions[0]
    assert trials[4].params not in [trial.params for trial in trials[:4]]
    assert best["trials"] == {"completed": 3, "pruned": 0, "failed": 2}
    # Nothing is left to do: the same answer, without a model.
    monkeypatch.setattr("tgdi_hf.training.run_setup.build_model", None)
    assert tune(few, tmp_path, *encoders, trials=3, **options) == best
    with pytest.raises(ValueError, match="the study of a search with another seed. Continue that search"):
        tune(few, tmp_path, *encoders, trials=4, seed=1, **options)
    assert not (tmp_path / "best").exists()


def test_trials_below_the_median_are_pruned_and_time_is_limited(few, encoders, tmp_path, monkeypatch):
    scores = iter([0.9] * 10 + [0.1])

    def evaluate(self, *arguments, **more):
        names = ("loss", "accuracy", "precision", "recall")
        return {**{f"eval_{name}": 0.5 for name in names}, "eval_f1": next(scores)}

    monkeypatch.setattr(SearchTrainer, "evaluate", evaluate)
    monkeypatch.setattr(SearchTrainer, "training_step", lambda self, model, *rest: model.device and _zero(model))
    options = dict(QUICK, model_options={"num_objects": 1}, space=SPACE, report_to="none")
    best = tune(few, tmp_path / "pruned", *encoders, trials=6, **options)
    assert best["trials"] == {"completed": 5, "pruned": 1, "failed": 0}
    assert study_in(tmp_path / "pruned").trials[5].state.name == "PRUNED"
    scores = iter([0.9] * 4)
    timed = dict(options, space={"learning_rate": SPACE["learning_rate"]})  # one rate for all modules
    best = tune(few, tmp_path / "timed", *encoders, trials=6, minutes=1e-3, **timed)
    assert best["trials"]["completed"] == 1 and best["first_trial_f1"] == 0.9


def _zero(model):
    return next(model.parameters()).sum().detach() * 0


def test_the_trial_of_the_start_values_is_run_again_after_an_error(few, encoders, tmp_path, monkeypatch):
    def fails(self, *arguments, **more):
        raise OSError("No space left on device")

    options = dict(QUICK, model_options={"num_objects": 1}, num_train_epochs=1)
    space = {"learning_rate": SPACE["learning_rate"], "logit_adjustment": Range(0.1, 2.0, 1.0)}
    with monkeypatch.context() as patched:
        patched.setattr(SearchTrainer, "training_step", fails)
        with pytest.raises(OSError, match="No space left"):
            tune(few, tmp_path, *encoders, trials=2, space=space, **options)
    best = tune(few, tmp_path, *encoders, trials=2, space=space, hub_token="hf_secret", **options)
    trials = study_in(tmp_path).trials
    assert [trial.state.name for trial in trials] == ["FAIL", "COMPLETE", "COMPLETE"]
    assert trials[0].params == trials[1].params == {name: values.start for name, values in space.items()}
    assert trials[2].params != trials[1].params and best["first_trial_f1"] == trials[1].value
    assert set(best["settings"]["model_options"]) == {"logit_adjustment"}
    assert "hf_secret" not in (tmp_path / "study.journal").read_text()


def test_without_the_trial_of_the_start_values_its_score_is_unknown():
    study = optuna.create_study(direction="maximize")
    study.enqueue_trial({"learning_rate": 2e-3})
    for value in (None, 0.5):
        trial = study.ask()
        trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True)
        trial.set_user_attr("settings", {"learning_rate": 1e-3})
        trial.set_user_attr("validation", {"eval_f1": value})
        study.tell(trial, value, state=None if value else optuna.trial.TrialState.FAIL)
    best = _best_of(study, {"learning_rate": 2e-3}, None)
    assert (best["trial"], best["first_trial_f1"]) == (1, None)


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({"dropuot": Range(0, 1, 0)}, "has 'dropuot'; expected `fusion_learning_rate`, an argument"),
        ({"per_device_train_batch_size": Range(4, 32, 16)}, "that is a real number"),
        (
            {"fusion_lambda": Range(0.5, 0.1, 0.5)},
            r"'fusion_lambda' from 0\.5 to 0\.1, starting from 0\.5; expected low",
        ),
        ({"fusion_lambda": Range(0.1, 0.9, 1.0)}, "expected low ≤ start ≤ high"),
        ({"learning_rate": Range(0.0, 1.0, 0.5, log=True)}, "0 to 1.0, starting from 0.5, logarithmic; .* 0 < low"),
        # The preset for the paper starts from a dropout of 0.01.
        ({"text_dropout": Range(0.1, 0.3, 0.2)}, "starting from 0.01"),
    ],
)
def test_spaces_that_cannot_be_searched(few, encoders, tmp_path, space, message):
    with pytest.raises(ValueError, match=message):
        tune(few, tmp_path / "search", *encoders, space=space, model_options={"preset": "paper"})
    assert not (tmp_path / "search").exists()


def test_hyperparameters_that_are_set_are_not_searched(few, encoders, tmp_path):
    fixed = {"learning_rate": 1e-3, "warmup_steps": 0.0, "weight_decay": 0.0}
    options = {"fusion_lambda": 0.25, "preset": "paper", "num_objects": 1}
    with pytest.raises(ValueError, match="nothing is left to search"):
        tune(few, tmp_path, *encoders, space={"learning_rate": SPACE["learning_rate"]}, **fixed)
    best = tune(few, tmp_path, *encoders, trials=1, model_options=options, **{**QUICK, **fixed})
    assert best["settings"] == {"arguments": {"fusion_learning_rate": 3e-5}, "model_options": {"text_dropout": 0.01}}


def test_swapped_images_and_kept_features(few, encoders, tmp_path):
    options = {"preset": "application", "num_objects": 1, "toi_num_layers": 1}
    best = tune(
        few, tmp_path / "search", *encoders, trials=1, model_options=options, vision_features=tmp_path / "features",
        command=lambda settings: f"train {settings['learning_rate']}", **{**QUICK, "num_train_epochs": 1},
    )  # fmt: skip
    assert best["command"] == "train 3e-05"
    assert study_in(tmp_path / "search").user_attrs["identity"]["swap_images"] == 0.1
    assert (tmp_path / "features").is_dir()


def test_settings_of_the_recipe_come_first():
    arguments, options = split_settings({name: values.start for name, values in SEARCH_SPACE.items()})
    assert arguments == {
        "learning_rate": 3e-5, "fusion_learning_rate": 3e-5, "warmup_steps": 0.1, "weight_decay": 0.01,
    }  # fmt: skip
    assert options == {"fusion_lambda": 0.5, "text_dropout": 0.1}
    assert all(values.low <= values.start <= values.high for values in SEARCH_SPACE.values())


def test_searches_that_cannot_run(few, encoders, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match="`trials` is 0; expected 1 or more"):
        tune(few, tmp_path, *encoders, trials=0)
    with pytest.raises(ValueError, match="`minutes` is 0; expected more than 0"):
        tune(few, tmp_path, *encoders, minutes=0)
    with pytest.raises(ValueError, match="'validation' has no rows, and the splits are train"):
        tune(DatasetDict({"train": few["train"]}), tmp_path, *encoders)
    (tmp_path / "model.safetensors").touch()
    with pytest.raises(ValueError, match="has files, but no study of a hyperparameter search"):
        tune(few, tmp_path, *encoders)
    monkeypatch.setattr("transformers.TrainingArguments.world_size", 2)
    with pytest.raises(ValueError, match="runs in one process; found 2"):
        tune(few, tmp_path / "several", *encoders, trials=1)
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r"The hyperparameter search requires optuna: pip install 'tgdi_hf\[tune\]'"):
        tune(few, tmp_path, *encoders)

"""Hyperparameter search by validation F1, with `Trainer.hyperparameter_search` and optuna."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from datasets import DatasetDict
from transformers import PreTrainedModel, Trainer, TrainingArguments, set_seed

from ..extras import require
from ..file_locks import sole_writer
from ..modeling.configuration_presets import preset_fields
from ..modeling.configuration_tgdi import TGDIConfig
from ..preparation.vision_features import compute_model_features
from .optimizer import optimizer_for
from .recipe import training_arguments
from .run_record import RESUMABLE_ARGUMENTS, different_settings, digest_of_rows
from .run_setup import check_splits, run_setup
from .trainer import make_trainer

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.storages import JournalStorage

JOURNAL = "study.journal"
STUDY = "tgdi"
METRICS = ("eval_loss", "eval_accuracy", "eval_precision", "eval_recall", "eval_f1")
UNPRUNED_TRIALS = 5  # before a median of the others says something
UNPRUNED_SHARE = 1 / 3  # of a trial's steps, in which high learning rates and long warm-ups have not shown their worth


class Range(NamedTuple):
    r"""
    The values of a hyperparameter.

    Args:
        low: The lowest value.
        high: The highest value.
        start: The value of the first trial.
        log: Whether orders of magnitude are equally likely, instead of differences.
    """

    low: float
    high: float
    start: float
    log: bool = False


# The first trial is the recipe of `training_arguments` and the default configuration.
SEARCH_SPACE = {
    "learning_rate": Range(1e-5, 1e-4, 3e-5, log=True),
    "fusion_learning_rate": Range(1e-5, 1e-3, 3e-5, log=True),
    "warmup_steps": Range(0.0, 0.2, 0.1),
    "weight_decay": Range(0.0, 0.1, 0.01),
    "fusion_lambda": Range(0.1, 0.9, 0.5),
    "text_dropout": Range(0.0, 0.3, 0.1),
}
_ARGUMENTS = {field.name for field in fields(TrainingArguments)}


class SearchTrainer(Trainer):
    """A `Trainer` whose modules that start from random weights have the trial's own learning rate."""

    fusion_learning_rate: float | None = None

    def create_optimizer(self, model: PreTrainedModel | None = None) -> torch.optim.Optimizer:
        if self.optimizer is None and self.fusion_learning_rate is not None:
            assert isinstance(self.model, PreTrainedModel)
            self.optimizer = optimizer_for(self.model, self.args, self.fusion_learning_rate)
        return super().create_optimizer(model)


def suggest(trial: "Trial", space: Mapping[str, Range]) -> dict[str, float]:
    """The settings of a trial, the same on every call, in three significant digits so that a command can state them."""
    return {
        name: float(f"{trial.suggest_float(name, values.low, values.high, log=values.log):.3g}")
        for name, values in space.items()
    }


def check_space(space: Mapping[str, Range]) -> None:
    """Raises ValueError for hyperparameters that do not exist or are no real numbers, and for invalid ranges."""
    numbers = {field.name for field in fields(TrainingArguments) if field.type in (float, float | None)}
    known = {"fusion_learning_rate"} | numbers | {field.name for field in fields(TGDIConfig)}
    for name, values in space.items():
        if name not in known:
            raise ValueError(
                f"The search space has {name!r}; expected `fusion_learning_rate`, an argument of `TrainingArguments` "
                "that is a real number, or a field of `TGDIConfig`."
            )
        if not values.low <= values.start <= values.high or (values.log and values.low <= 0):
            raise ValueError(
                f"The search space has {name!r} from {values.low} to {values.high}, starting from {values.start}"
                f"{', logarithmic' * values.log}; expected low ≤ start ≤ high, and 0 < low if logarithmic."
            )


def split_settings(settings: Mapping[str, float]) -> tuple[dict[str, float], dict[str, float]]:
    """Divides the settings of a trial into arguments of `fine_tune` and fields of `TGDIConfig`."""
    named = {*_ARGUMENTS, "fusion_learning_rate"}
    return (
        {name: value for name, value in settings.items() if name in named},
        {name: value for name, value in settings.items() if name not in named},
    )


def tune(
    dataset: DatasetDict,
    output_dir: str | Path,
    text_model: str = "bert-base-uncased",
    vision_model: str = "openai/clip-vit-base-patch32",
    *,
    trials: int = 20,
    minutes: float | None = None,
    space: Mapping[str, Range] | None = None,
    seed: int = 0,
    vision_features: str | Path | None = None,
    features_dtype: str = "float16",
    model_options: Mapping[str, Any] | None = None,
    swap_images: float | None = None,
    text_revision: str | None = None,
    vision_revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    command: Callable[[Mapping[str, float]], str] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    r"""
    Searches the hyperparameters with the best F1 on the validation split. Requires the extra `tune`.

    The sampler is optuna's TPE. After each epoch, a trial whose F1 so far is below the median of the others at that
    step is stopped. Nothing but the study is stored: neither checkpoints nor models. The same call resumes a study;
    a trial that was interrupted starts again. The other splits are never read.

    Args:
        dataset: Rows of the splits `train` and `validation`.
        output_dir: Folder for the study and for `best.json`.
        text_model, vision_model: See `fine_tune`.
        trials: Number of trials of the whole study, stopped ones included.
        minutes: No trial starts later than this after the first one of the call; those that run are completed.
        space: The hyperparameters and their values, by default `SEARCH_SPACE`: arguments of `TrainingArguments`,
            `fusion_learning_rate`, and fields of `TGDIConfig`. Those that are set in `model_options` or `arguments` are
            not searched.
        seed: Seed of every trial, as of `fine_tune`, and of the sampler.
        vision_features, features_dtype, model_options, swap_images: See `fine_tune`.
        text_revision, vision_revision, token, cache_dir, local_files_only: See `fine_tune`.
        command: Converts the settings of the best trial to the command that trains with them, for `best.json`.
        arguments: Fields of `TrainingArguments`, which all trials share.

    Returns:
        The content of `best.json`: `trial`, its number; `settings`, which `fine_tune` reproduces it with, as
        `arguments` and `model_options`; `validation`, the metrics of its best epoch; `first_trial_f1`, the F1 of the
        one that has the start values, or `None` if it was not completed; `trials`, how many were completed, pruned and
        failed; and `command`.

    Raises:
        ImportError: optuna is not installed.
        ValueError: Less than one trial; a split is missing or empty; nothing is left to search; values that cannot be
            searched; no time; the folder has another study or other files; or several processes.
    """
    require("optuna", "tune", "The hyperparameter search")
    output = Path(output_dir)
    if trials < 1:
        raise ValueError(f"`trials` is {trials}; expected 1 or more.")
    if minutes is not None and minutes <= 0:
        raise ValueError(f"`minutes` is {minutes}; expected more than 0.")
    check_splits(dataset)
    rows = DatasetDict({split: dataset[split] for split in ("train", "validation")})
    fixed = {**(model_options or {}), **arguments}
    started = preset_fields((model_options or {}).get("preset", "default"))  # the first trial is the preset as it is
    space = {
        name: values._replace(start=started.get(name, values.start))
        for name, values in (space or SEARCH_SPACE).items()
        if name not in fixed
    }
    if not space:
        raise ValueError("All hyperparameters of the search are set; nothing is left to search.")
    check_space(space)
    starts = {name: values.start for name, values in space.items()}
    hub: dict[str, Any] = {"token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
    setup = run_setup(
        rows, text_model, vision_model, model_options, swap_images, text_revision, vision_revision, hub, "tune"
    )
    identity = {
        **setup.recorded,
        "seed": seed,
        "space": {name: list(values) for name, values in space.items()},
        **{f"{split}_rows": digest_of_rows(rows[split]) for split in rows},
        **{name: value for name, value in arguments.items() if name not in RESUMABLE_ARGUMENTS},
    }

    def build(trial: "Trial | None") -> tuple[Any, Any]:
        # The data are set up for the start values, such as a weight of a loss that is off by default.
        options = split_settings(starts if trial is None else suggest(trial, space))[1]
        set_seed(seed)
        built = setup.build(**options)
        set_seed(seed)  # as `Trainer` does in `fine_tune`, between building and training
        return built

    with sole_writer(output):
        storage = _storage(output)
        study = _open_study(storage, output, identity, starts)
        remaining = trials - len(_finished(study))
        if remaining > 0:
            # Without checkpoints: `fine_tune` reproduces the best trial.
            shared: dict[str, Any] = {**arguments, "save_strategy": "no", "load_best_model_at_end": False}
            training = training_arguments(output, seed=seed, **shared)
            if training.world_size > 1:
                raise ValueError(
                    f"The hyperparameter search runs in one process; found {training.world_size}. Start it without "
                    "`accelerate launch`."
                )
            model, processor = build(None)
            features = None
            if vision_features is not None:
                features = compute_model_features(
                    model, processor, rows, vision_features, features_dtype, training.device
                )
            del model
            trainer = make_trainer(
                None, processor, rows, training, vision_features=features, swap_images=setup.swap_images,
                model_init=lambda trial: build(trial)[0], trainer_class=SearchTrainer,
            )  # fmt: skip
            _search(trainer, storage, study, space, remaining, minutes, seed)
        best = _best_of(study, starts, command)
        (output / "best.json").write_text(json.dumps(best, indent=2) + "\n", encoding="utf-8")
    return best


def _storage(output: Path) -> "JournalStorage":
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    journal = output / JOURNAL
    if not journal.exists() and output.exists() and any(output.iterdir()):
        raise ValueError(f"{output} has files, but no study of a hyperparameter search. Name a new folder.")
    output.mkdir(parents=True, exist_ok=True)
    return JournalStorage(JournalFileBackend(str(journal)))


def _open_study(
    storage: "JournalStorage", output: Path, identity: Mapping[str, Any], starts: Mapping[str, float]
) -> "Study":
    """The study in a folder, ready to go on: with the trial of the start values, and interrupted trials queued."""
    import optuna
    from optuna.trial import TrialState

    study = optuna.create_study(storage=storage, study_name=STUDY, direction="maximize", load_if_exists=True)
    settings, found = json.loads(json.dumps(identity)), study.user_attrs.get("identity")
    if found is None:
        study.set_user_attr("identity", settings)
    elif differs := different_settings(settings, found):
        raise ValueError(
            f"{output} has the study of a search with another {' and '.join(differs)}. Continue that search with its "
            "own settings, or name a new folder."
        )
    for trial in study.get_trials(states=(TrialState.RUNNING,)):
        study.tell(trial.number, state=TrialState.FAIL)
        study.enqueue_trial({**trial.system_attrs.get("fixed_params", {}), **trial.params})  # maybe none was drawn yet
    # Also after an error in that trial, such as a full disk: nothing tells whether the best trial is better than it.
    if all(trial.state == TrialState.FAIL or _asked(trial) != starts for trial in study.trials):
        study.enqueue_trial(dict(starts))
    return study


def _asked(trial: Any) -> dict[str, float]:
    """The values that were given for a trial, if any were."""
    return trial.system_attrs.get("fixed_params", {})


def _finished(study: "Study") -> list[Any]:
    from optuna.trial import TrialState

    return study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))


def _search(
    trainer: Any,
    storage: "JournalStorage",
    study: "Study",
    space: Mapping[str, Range],
    trials: int,
    minutes: float | None,
    seed: int,
) -> None:
    """Runs trials, and records the settings and the metrics of the best epoch of each."""
    from optuna.pruners import MedianPruner
    from optuna.samplers import TPESampler

    running: Any = None
    best: dict[str, float] = {}

    def start(trial: "Trial") -> dict[str, float]:
        nonlocal running, best
        running, best = trial, {}
        settings = suggest(trial, space)
        trial.set_user_attr("settings", settings)
        trainer.fusion_learning_rate = settings.get("fusion_learning_rate", trainer.fusion_learning_rate)
        return {name: value for name, value in settings.items() if name in _ARGUMENTS}

    def best_f1(metrics: Mapping[str, float]) -> float:
        """The F1 of the best epoch so far, whose model `fine_tune` keeps."""
        nonlocal best
        if not best or metrics["eval_f1"] > best["eval_f1"]:
            best = {name: metrics[name] for name in METRICS}
            running.set_user_attr("validation", best)
        return best["eval_f1"]

    rows_per_step = trainer.args.train_batch_size * trainer.args.gradient_accumulation_steps
    steps = math.ceil(len(trainer.train_dataset) / rows_per_step) * trainer.args.num_train_epochs
    try:
        trainer.hyperparameter_search(
            start,
            best_f1,
            n_trials=trials,
            direction="maximize",
            backend="optuna",
            timeout=None if minutes is None else 60 * minutes,
            storage=storage,
            study_name=STUDY,
            load_if_exists=True,
            # A resumed search must not repeat the random trials that the first one started with.
            sampler=TPESampler(seed=seed + len(study.trials)),
            pruner=MedianPruner(n_startup_trials=UNPRUNED_TRIALS, n_warmup_steps=int(UNPRUNED_SHARE * steps)),
        )
    except KeyboardInterrupt:  # which optuna takes for a failure of the trial
        if running is not None:
            study.enqueue_trial(running.params)
        raise


def _best_of(
    study: "Study", starts: Mapping[str, float], command: Callable[[Mapping[str, float]], str] | None
) -> dict[str, Any]:
    trial = study.best_trial
    first = (one.value for one in study.trials if one.state.name == "COMPLETE" and _asked(one) == starts)
    settings = trial.user_attrs["settings"]
    arguments, options = split_settings(settings)
    states = [one.state.name.lower() for one in study.trials]
    return {
        "trial": trial.number,
        "settings": {"arguments": arguments, "model_options": options},
        "validation": trial.user_attrs["validation"],
        "first_trial_f1": next(first, None),
        "trials": {
            state: states.count(name)
            for state, name in (("completed", "complete"), ("pruned", "pruned"), ("failed", "fail"))
        },
        **({} if command is None else {"command": command(settings)}),
    }

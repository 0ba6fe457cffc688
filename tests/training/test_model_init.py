import pytest
from transformers import set_seed
from transformers.hyperparameter_search import ALL_HYPERPARAMETER_SEARCH_BACKENDS
from transformers.trainer_utils import BestRun, HPSearchBackend

from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer

from .trainers import PLAIN


class Backend:
    """Two trials, as optuna would hand them out."""

    trials = ({"learning_rate": 1e-3, "num_train_epochs": 1}, {"learning_rate": 1e-5, "num_train_epochs": 1})

    def ensure_available(self):
        pass

    def default_hp_space(self, trial):
        return {}

    def run(self, trainer, n_trials, direction, **kwargs):
        found = []
        for number, trial in enumerate(self.trials[:n_trials]):
            trainer.args.learning_rate = trial["learning_rate"]
            trainer.model_wrapped = trainer.model = trainer.call_model_init(trial)
            trainer.train()
            found.append(BestRun(str(number), trainer.evaluate()["eval_f1"], trial))
        return max(found, key=lambda run: run.objective)


@pytest.mark.parametrize("balanced", [False, True])
@pytest.mark.parametrize("takes_trial", [False, True])
def test_hyperparameter_search_creates_a_model_per_trial(corpus, tiny, tmp_path, monkeypatch, balanced, takes_trial):
    monkeypatch.setitem(ALL_HYPERPARAMETER_SEARCH_BACKENDS, HPSearchBackend.OPTUNA, Backend)
    small = {split: corpus[split].select(range(16)) for split in ("train", "validation")}
    seen = []

    def from_trial(trial):
        seen.append(trial)
        set_seed(0)
        return tiny_tgdi(corpus, direction_balanced=balanced)[0]

    model_init = from_trial if takes_trial else lambda: from_trial(None)
    arguments = training_arguments(tmp_path, **PLAIN)
    trainer = make_trainer(None, tiny[1], small, arguments, model_init=model_init)
    assert len(trainer.train_dataset) == (32 if balanced else 16)
    assert balanced or trainer.call_model_init(None).config.tail_first_bias is not None  # counted in the rows
    best = trainer.hyperparameter_search(backend="optuna", n_trials=2, direction="maximize")
    assert best.hyperparameters in Backend.trials
    assert not takes_trial or [trial for trial in seen if trial] == [*Backend.trials]


@pytest.mark.no_cover
def test_optuna_searches_hyperparameters(corpus, tiny, tmp_path):
    pytest.importorskip("optuna")
    small = {split: corpus[split].select(range(16)) for split in ("train", "validation")}
    trainer = make_trainer(
        None, tiny[1], small, training_arguments(tmp_path, **PLAIN), model_init=lambda trial: tiny_tgdi(corpus)[0]
    )
    space = {"learning_rate": (1e-5, 1e-3)}
    best = trainer.hyperparameter_search(
        lambda trial: {"learning_rate": trial.suggest_float("learning_rate", *space["learning_rate"], log=True)},
        compute_objective=lambda metrics: metrics["eval_f1"], n_trials=2, direction="maximize", backend="optuna",
    )  # fmt: skip
    assert set(best.hyperparameters) == set(space)


def test_models_that_require_other_data_are_refused(corpus, tiny, tmp_path):
    arguments = training_arguments(tmp_path, **PLAIN)
    for models in ({"model": None}, {"model": tiny[0], "model_init": lambda: tiny[0]}):
        with pytest.raises(ValueError, match="either a `model` or"):
            make_trainer(processor=tiny[1], dataset=corpus, arguments=arguments, **models)
    with pytest.raises(ValueError, match="`fusion_learning_rate` creates an optimizer for one model"):
        make_trainer(None, tiny[1], corpus, arguments, fusion_learning_rate=1e-3, model_init=lambda: tiny[0])
    with pytest.raises(ValueError, match="`model_init` returned None; expected a model"):
        make_trainer(None, tiny[1], corpus, arguments, model_init=lambda: None)
    trainer = make_trainer(
        None, tiny[1], corpus, arguments,
        model_init=lambda trial: tiny_tgdi(corpus, direction_balanced=bool(trial))[0],
    )  # fmt: skip
    with pytest.raises(ValueError, match="with `direction_balanced=True`, but the data were set up for False"):
        trainer.call_model_init({"both": 1})

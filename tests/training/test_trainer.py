import importlib.util

import pytest
import torch
from datasets import ClassLabel, Dataset, Features, IterableDataset, IterableDatasetDict, Value
from transformers import TrainingArguments, set_seed
from transformers.hyperparameter_search import ALL_HYPERPARAMETER_SEARCH_BACKENDS
from transformers.trainer_utils import BestRun, HPSearchBackend

from tgdi_hf import TGDICollator, undecoded
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.training.recipe import training_arguments
from tgdi_hf.training.trainer import make_trainer
from tgdi_hf.training.training_rows import relation_names

PLAIN = dict(
    num_train_epochs=1, learning_rate=1e-3, dataloader_num_workers=0, disable_tqdm=True, eval_strategy="no",
    save_strategy="no", load_best_model_at_end=False,
)  # fmt: skip


@pytest.fixture
def tiny(_tiny, model):
    return model, _tiny[1]


class Rows(torch.utils.data.Dataset):
    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, index):
        return self.rows[index]


class Stream(torch.utils.data.IterableDataset):
    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def mapped(rows):
    """A stream that no longer declares features."""
    stream = rows.to_iterable_dataset().map(lambda row: row)
    assert stream.features is None
    return stream


KINDS = {
    "dataset": lambda rows: rows,
    "stream": lambda rows: rows.to_iterable_dataset(),
    "mapped stream": mapped,
    "generator": lambda rows: IterableDataset.from_generator(lambda: iter([*rows])),
    "list": lambda rows: [*rows],
    "torch dataset": lambda rows: Rows([*rows]),
    "torch stream": lambda rows: Stream([*rows]),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_rows_trains_and_is_scored(corpus, tiny, tmp_path, kind):
    data = {split: KINDS[kind](corpus[split].select(range(16))) for split in ("train", "validation")}
    arguments = training_arguments(tmp_path, max_steps=2, **PLAIN)
    trainer = make_trainer(*tiny, data, arguments)
    trainer.train()
    assert trainer.state.global_step == 2
    metrics = trainer.evaluate()
    assert 0 <= metrics["eval_f1"] <= 1
    names = corpus["train"].features["label"].names
    assert relation_names(data, trainer.model.config) == (names, False)


@pytest.mark.parametrize("kind", ["mapped stream", "list", "torch dataset", "generator"])
def test_relations_that_nothing_names_are_an_error(corpus, tiny, tmp_path, kind):
    model, processor = tiny
    model.config.id2label = {i: f"LABEL_{i}" for i in range(9)}
    data = {"train": KINDS[kind](corpus["train"].select(range(4)))}
    with pytest.raises(ValueError, match=r"Nothing names the relations.*stream\.cast\(features\)"):
        make_trainer(model, processor, data, training_arguments(tmp_path, **PLAIN))
    declared = Features({"text": Value("string"), "label": ClassLabel(names=["None", "a"])})
    stream = Dataset.from_dict({"text": ["a"], "label": [0]}).to_iterable_dataset().map(lambda row: row).cast(declared)
    make_trainer(model, processor, {"train": stream}, training_arguments(tmp_path, max_steps=1, **PLAIN))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Dataset.from_dict({"text": ["a"]}), r"must be a mapping of splits, such as \{'train'.*found a Dataset"),
        ([{"text": "a"}], "found a list"),
        ({}, "found an empty mapping"),
        ({"train": Dataset.from_dict({"text": ["a"]})}, "'train' has no column 'label', only text.*with_class_labels"),
        ({"train": Dataset.from_dict({"label": ["None"]})}, "'label' of the split 'train' .*string.*with_class_labels"),
        ({"train": Dataset.from_dict({"label": [0.5]})}, "float64.*expected a `ClassLabel`"),
    ],
)  # fmt: skip
def test_data_of_another_kind_are_an_error(tiny, tmp_path, data, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(*tiny, data, training_arguments(tmp_path, **PLAIN))


def test_labels_in_numbers_have_the_models_names(corpus, tiny, tmp_path):
    numbers = corpus["train"].select(range(4)).cast_column("label", Value("int64"))
    trainer = make_trainer(*tiny, {"train": numbers, "validation": numbers}, training_arguments(tmp_path, **PLAIN))
    assert 0 <= trainer.evaluate()["eval_f1"] <= 1
    assert relation_names({"train": numbers}, tiny[0].config) == (
        corpus["train"].features["label"].names,
        False,
    )


@pytest.mark.parametrize("kind", ["stream", "mapped stream", "list", "torch dataset"])
def test_what_needs_all_rows_says_so(corpus, tiny, tmp_path, kind):
    data = {"train": KINDS[kind](corpus["train"].select(range(4)))}
    with pytest.raises(ValueError, match=r"A control perturbs the rows of a `datasets\.Dataset`; the split 'train'"):
        make_trainer(*tiny, data, training_arguments(tmp_path, **PLAIN), control="text-only")
    with pytest.raises(ValueError, match="'group_by_length'` requires the lengths of all rows"):
        make_trainer(*tiny, data, training_arguments(tmp_path, train_sampling_strategy="group_by_length", **PLAIN))
    tiny[0].config.direction_balanced = True
    with pytest.raises(ValueError, match=r"Both orders need the rows of a `datasets\.Dataset`"):
        make_trainer(*tiny, data, training_arguments(tmp_path, **PLAIN))


def test_images_stay_encoded_whatever_holds_them(corpus):
    rows = corpus["train"].select(range(20))
    expected = undecoded(rows)["image"][:]
    splits = undecoded(IterableDatasetDict(train=rows.to_iterable_dataset()))
    assert isinstance(splits, IterableDatasetDict)
    assert [row["image"] for row in splits["train"]] == expected
    assert undecoded({"train": rows})["train"]["image"][:] == expected
    assert undecoded(undecoded(rows))["image"][:] == expected
    for kind in ("mapped stream", "generator", "list", "torch dataset"):
        held = KINDS[kind](rows)
        assert undecoded(held) is held


def test_columns_that_trainer_would_drop_are_an_error(corpus, tiny, tmp_path):
    with pytest.raises(ValueError, match="`remove_unused_columns=False`"):
        make_trainer(*tiny, corpus, TrainingArguments(str(tmp_path)))
    for row in ({}, {"label": 1}, {"labels": 1, "label_ids": 2}):
        with pytest.raises(ValueError, match="neither `text` nor `words`, only .*`remove_unused_columns=False`"):
            TGDICollator(tiny[1])([row])
    with pytest.raises(ValueError, match=r"only head, tail\.$"):
        TGDICollator(tiny[1])([{"head": "a", "tail": "b"}])


@pytest.mark.parametrize(
    ("options", "stream", "shares"),
    [
        ({"dispatch_batches": False}, False, True),
        ({"dispatch_batches": False}, True, True),
        ({}, False, True),
        ({}, True, False),  # accelerate dispatches streams unless it is told otherwise
        ({"dispatch_batches": True}, False, False),
        ({"split_batches": True}, False, False),
        ({"split_batches": True, "dispatch_batches": True}, True, False),
    ],
)
def test_batches_that_accelerate_cuts_share_no_images(corpus, tiny, tmp_path, options, stream, shares):
    data = {"train": KINDS["stream" if stream else "dataset"](corpus["train"].select(range(8)))}
    arguments = training_arguments(tmp_path, accelerator_config=options, **{**PLAIN, "max_steps": 1})
    trainer = make_trainer(*tiny, data, arguments)
    assert trainer.data_collator.share_images is shares
    trainer.train()


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
def test_hyperparameters_are_searched_for(corpus, tiny, tmp_path, monkeypatch, balanced, takes_trial):
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
    best = trainer.hyperparameter_search(backend="optuna", n_trials=2, direction="maximize")
    assert best.hyperparameters in Backend.trials
    assert not takes_trial or [trial for trial in seen if trial] == [*Backend.trials]


@pytest.mark.skipif(importlib.util.find_spec("optuna") is None, reason="needs optuna")
def test_optuna_searches(corpus, tiny, tmp_path):
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


def test_a_search_has_one_kind_of_model(corpus, tiny, tmp_path):
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


def test_a_metric_of_ones_own_takes_the_place_of_the_packages(corpus, tiny, tmp_path):
    arguments = training_arguments(tmp_path, metric_for_best_model="macro", max_steps=1, dataloader_num_workers=0)
    trainer = make_trainer(*tiny, corpus, arguments, compute_metrics=lambda evaluation: {"macro": 0.5})
    assert trainer.evaluate()["eval_macro"] == 0.5
    collator = TGDICollator(tiny[1], share_images=False)
    assert make_trainer(*tiny, corpus, training_arguments(tmp_path), data_collator=collator).data_collator is collator
    with pytest.raises(ValueError, match="creates an optimizer, but another one is passed"):
        make_trainer(*tiny, corpus, training_arguments(tmp_path), 1e-3, optimizers=(None, None))


@pytest.mark.parametrize("options", [{}, {"save_strategy": "best", "load_best_model_at_end": False}])
@pytest.mark.parametrize("name", ["macro", "eval_F1", "f1_score"])
def test_a_metric_that_will_not_be_there_is_refused_before_the_first_epoch(corpus, tiny, tmp_path, name, options):
    arguments = training_arguments(tmp_path, metric_for_best_model=name, **options)
    with pytest.raises(ValueError, match=f"`metric_for_best_model` is '{name}'; expected f1, .*`compute_metrics`"):
        make_trainer(*tiny, corpus, arguments)


@pytest.mark.parametrize("name", ["f1", "eval_recall", "loss"])
def test_metrics_that_will_be_there(corpus, tiny, tmp_path, name):
    make_trainer(*tiny, corpus, training_arguments(tmp_path, metric_for_best_model=name))

import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Features

from examples.research.reproduce.experiments import Experiment, read_experiments
from examples.research.reproduce.train import (
    CONVOLUTION_RECIPE,
    class_weighted_loss,
    direction_of_two_passes,
    identity_of,
    none_shift,
    refuse_unfit_data,
    run,
    set_dropout,
)
from tgdi_hf import load_mnre, make_corpus
from tgdi_hf.data.mnre_schema import FEATURES


def test_rare_relations_weigh_more_and_the_mean_weight_is_one():
    loss = class_weighted_loss([0] * 16 + [1], relations=2, power=0.5)
    # n^-1/2 is 1/4 and 1, over the 17 rows 5 in all.
    outputs = SimpleNamespace(logits=torch.tensor([[np.log(3), 0.0], [np.log(3), 0.0]]))
    expected = 17 / 5 * (np.log(4 / 3) / 4 + np.log(4))
    assert loss(outputs, torch.tensor([0, 1])).item() == pytest.approx(expected / 2, rel=1e-6)
    assert loss(outputs, torch.tensor([0, 1]), num_items_in_batch=4).item() == pytest.approx(expected / 4, rel=1e-6)


def test_direction_of_two_passes():
    names = ["None", "/per/per/peer", "/per/org/member_of"]  # and the inverse of the last one
    by_default = SimpleNamespace(symmetric_relations=None)
    twice = np.array([[0.4, 0, 0.6, 0], [0.3, 0, 0.1, 0.6], [0.8, 0, 0.1, 0.1], [0.4, 0.6, 0, 0], [0, 0, 1, 0]])
    found = direction_of_two_passes(twice, np.array([0, 0, 0, 0, 2]), names, by_default)
    # Of the four without relation the first and the fourth, a peer; swapped the second and the fourth.
    assert found == {"listed_of_two_passes": 0.5, "swapped_of_two_passes": 0.5}
    found = direction_of_two_passes(twice[1:3], np.array([0, 0]), names, by_default)
    assert found == {"listed_of_two_passes": 0.0, "swapped_of_two_passes": 0.5}


def test_dropout_applies_to_all_modules():
    model = torch.nn.Sequential(torch.nn.Dropout(0.1), torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Dropout(0)))
    set_dropout(model, 0.2)
    assert [model[0].p, model[1][1].p] == [0.2, 0.2]


def test_shifted_odds_of_none():
    # None, and two relations. Odds of None against the winner: e^0.6 to 1, and 1 to e^0.4.
    rows = [[np.exp(0.6), 1, 0], [1, 0, np.exp(0.4)]]
    probabilities = np.array([np.array(row) / sum(row) for row in rows])
    found = none_shift(probabilities, np.array([1, 2]), negative=0)
    assert found["+0.00"] == pytest.approx(2 / 3, abs=1e-4)  # one of two found, and nothing wrong
    assert found["-0.50"] == pytest.approx(2 / 3, abs=1e-4)
    assert found["-0.75"] == 1
    assert found["+0.50"] == 0


def test_object_sweep_requires_objects(mnre_folder, encoders, tmp_path):
    (experiment,) = [one for one in read_experiments("objects") if one.name == "1"]
    with pytest.raises(ValueError, match="m = 1 needs objects, and no training row of .* has any: detect them"):
        run(experiment, 0, load_mnre(mnre_folder), mnre_folder, tmp_path, *encoders)


def test_captions_are_required_by_their_experiments(corpus, tmp_path):
    for experiment in read_experiments("captions"):
        refuse_unfit_data(experiment, corpus, tmp_path)
        for train in (corpus["train"].remove_columns("caption"), corpus["train"].map(lambda row: {"caption": None})):
            with pytest.raises(ValueError, match=f"{re.escape(experiment.title)} is compared .* no training row of"):
                refuse_unfit_data(experiment, DatasetDict(train=train), tmp_path)


def test_unknown_model_is_refused(mnre_folder, encoders, tmp_path):
    experiment = Experiment("table2", "hvpnett", "HVPNeT", model="hvpnett")
    with pytest.raises(ValueError, match="Unknown baseline 'hvpnett'; expected one of cnn, pcnn"):
        run(experiment, 0, load_mnre(mnre_folder), mnre_folder, tmp_path, *encoders)


@pytest.mark.parametrize("name", ["bert-objects", "bert-objects-attention", "umgf", "mega"])
def test_baselines_of_objects_alone_require_objects(name, corpus, mnre_folder):
    (experiment,) = [one for one in read_experiments("table2") if one.name == name]
    refuse_unfit_data(experiment, corpus, mnre_folder)
    for dataset in (load_mnre(mnre_folder), DatasetDict(train=corpus["train"].remove_columns("objects"))):
        with pytest.raises(
            ValueError, match=f"{re.escape(experiment.title)} needs objects, .* or leave .* out with --only"
        ):
            refuse_unfit_data(experiment, dataset, mnre_folder)


def test_edges_between_objects_require_boxes(mnre_folder):
    features = Features({name: FEATURES[name] for name in ("objects", "label")})
    rows = {"objects": [[], [{"path": "a.jpg", "bytes": None}]], "label": [0, 1]}
    dataset = DatasetDict(train=Dataset.from_dict(rows, features=features))
    found = {one.name: one for one in read_experiments("table2")}
    refuse_unfit_data(found["umgf"], dataset, mnre_folder)
    with pytest.raises(
        ValueError, match="MEGA-style.* reads the boxes of objects, and those of .* images of their own"
    ):
        refuse_unfit_data(found["mega"], dataset, mnre_folder)


def test_experiment_overrides_the_command_line():
    slower = next(one for one in read_experiments("recipe") if one.name == "tgdi-slower")
    cnn, tgdi = (next(one for one in read_experiments("table2" if name == "cnn" else "main") if one.name == name)
                 for name in ("cnn", "tgdi"))  # fmt: skip
    rates = {}
    for one in (slower, cnn, tgdi):
        found = identity_of(one, {}, "text", "vision", "glove.txt", "none", "validation", {"learning_rate": 3e-5})
        rates[one.name] = (found["recipe"]["learning_rate"], found["glove"])
    assert rates == {
        "tgdi-slower": (slower.arguments["learning_rate"], None),
        "cnn": (CONVOLUTION_RECIPE["learning_rate"], "glove.txt"),
        "tgdi": (3e-5, None),
    }


@pytest.mark.parametrize("name", ["mtb-both-orders", "mtb-inverse"])
def test_interrupted_run_resumes(name, mnre_folder, encoders, tmp_path, monkeypatch):
    dataset = load_mnre(mnre_folder)
    experiment = next(one for one in read_experiments("direction") if one.name == name)
    common = dict(num_train_epochs=2, use_cpu=True)
    undisturbed = run(experiment, 0, dataset, mnre_folder, tmp_path / "a", *encoders, **common)
    with monkeypatch.context() as patch:
        patch.setattr(
            "examples.research.reproduce.train.probabilities_of", None
        )  # stopped when all but the end is done
        with pytest.raises(TypeError):
            run(experiment, 0, dataset, mnre_folder, tmp_path / "b", *encoders, **common)
    assert (tmp_path / "b").is_dir()
    resumed = run(experiment, 0, dataset, mnre_folder, tmp_path / "b", *encoders, **common)
    for part in ("scores", "averaged", "epochs", "answers", "direction", "as_listed"):
        assert resumed[part] == undisturbed[part], part
    assert set(resumed["as_listed"]) - {"f1_of_one_pass"} == {"accuracy", "precision", "recall", "f1"}
    assert ("f1_of_one_pass" in resumed["as_listed"]) == (name == "mtb-inverse")
    with pytest.raises(ValueError, match="b has checkpoints of a run with another seed and recipe"):
        run(experiment, 1, dataset, mnre_folder, tmp_path / "b", *encoders, **{**common, "num_train_epochs": 3})


@pytest.mark.parametrize(("group", "name"), [("main", "tgdi"), ("table2", "hvpnet")])
@pytest.mark.parametrize("train_vision", [False, True])
def test_vision_encoder_is_trained_on_request(group, name, train_vision, mnre_folder, encoders, tmp_path, monkeypatch):
    built = []

    def make_trainer(model, *arguments, **options):
        built.append(model)
        raise InterruptedError

    monkeypatch.setattr("examples.research.reproduce.train.make_trainer", make_trainer)
    experiment = next(one for one in read_experiments(group) if one.name == name)
    with pytest.raises(InterruptedError):
        run(experiment, 0, load_mnre(mnre_folder), mnre_folder, tmp_path, *encoders, train_vision=train_vision)
    trained = {weight.requires_grad for weight in built[0].base_model.vision_tower.parameters()}
    assert train_vision in trained and (train_vision or trained == {False})


def test_crop_counts_need_mnre(encoders, tmp_path):
    (experiment,) = [one for one in read_experiments("leak") if one.name == "text-and-count"]
    with pytest.raises(ValueError, match="counts the published crops of MNRE; .* is embedded corpus. Leave it out"):
        run(experiment, 0, make_corpus({"train": 16, "validation": 8}), tmp_path, tmp_path, *encoders)

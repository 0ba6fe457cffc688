import csv
import json
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from filelock import FileLock
from matplotlib.figure import Figure

from examples.research.reproduce.__main__ import RESULTS, main
from examples.research.reproduce.averaged import AveragedWeights, step_average
from examples.research.reproduce.collect import PAPER, best_shift, collect, mean_and_deviation, results_of
from examples.research.reproduce.compare import compare
from examples.research.reproduce.experiments import CONFIGS, read_experiments
from examples.research.reproduce.figures import curves
from examples.research.reproduce.rows import stratified_share, with_blank_crops
from examples.research.reproduce.train import (
    CONVOLUTION_RECIPE,
    direction_of_two_passes,
    identity_of,
    none_shift,
    run,
    set_dropout,
    weighed_loss,
)
from tgdi_hf import TGDIConfig, load_mnre
from tgdi_hf.training.recipe import training_arguments

from ...data.mnre_folder import write_split


@pytest.fixture
def mnre_folder(tmp_path):
    for split in ("train", "validation"):
        write_split(tmp_path / "mnre", split)
    return tmp_path / "mnre"


GROUPS = sorted(folder.name for folder in CONFIGS.iterdir())


@pytest.mark.parametrize("group", GROUPS)
def test_every_file_is_a_runnable_experiment(group, tmp_path):
    for experiment in read_experiments(group):
        assert (CONFIGS / f"{experiment.run}.json").is_file()
        training_arguments(tmp_path, **experiment.arguments)
        if experiment.model == "tgdi":
            names = {"id2label": {i: str(i) if i else "None" for i in range(23)}}
            TGDIConfig(**names, direction_balanced=experiment.both_orders, **experiment.config)
        if experiment.same_as:
            other_group, name = experiment.same_as.split("/")
            (other,) = [other for other in read_experiments(other_group) if other.name == name]
            assert other.same_as is None
            own = json.loads((CONFIGS / group / f"{experiment.name}.json").read_text())
            assert own.keys() == {"title", "same_as"}  # it would change what it is called the same as
            assert replace(experiment, group=other_group, name=name, title=other.title, same_as=None) == other


def test_every_system_of_the_paper_has_an_experiment():
    found = {experiment.name for group in ("main", "ablations", "baselines") for experiment in read_experiments(group)}
    assert PAPER.keys() <= found


def test_unknown_keys_and_values_are_refused(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "one.json").write_text('{"title": "one", "class_weights": 0.5, "both_orders": true}')
    with pytest.raises(ValueError, match="mine/one: `class_weights` count rows in their listed order"):
        read_experiments("mine", tmp_path)
    for wrong in ({"share": 0}, {"share": 1.5}, {"control_share": -1}, {"control": "blank"}):
        (tmp_path / "mine" / "one.json").write_text(json.dumps({"title": "one", **wrong}))
        with pytest.raises(ValueError, match="mine/one: (`share` is|unknown control 'blank')"):
            read_experiments("mine", tmp_path)
    (tmp_path / "mine" / "one.json").write_text('{"title": "one", "modle": "mtb"}')
    with pytest.raises(ValueError, match=r"one.json: unknown keys modle; expected some of .*model"):
        read_experiments("mine", tmp_path)
    with pytest.raises(ValueError, match="Unknown group 'yours'; expected one of mine"):
        read_experiments("yours", tmp_path)


def test_shares_are_stratified_and_nested():
    labels = [0] * 10 + [1] * 4 + [2]
    half = stratified_share(labels, 0.5, seed=0)
    assert [sum(labels[i] == label for i in half) for label in (0, 1, 2)] == [5, 2, 1]
    assert half == sorted(set(half))
    assert set(stratified_share(labels, 0.2, seed=0)) <= set(half)
    assert stratified_share(labels, 0.5, seed=0) == half != stratified_share(labels, 0.5, seed=1)
    assert stratified_share(labels, 1, seed=3) == list(range(15))


def test_averaged_weights_favour_the_last_quarter():
    # The first step is copied, the others have weights of 4/5 and 4/6.
    average = [torch.tensor([9.0])]
    for step, value in ((1, 1.0), (2, 6.0), (3, 2.0)):
        step_average(average, [torch.tensor([value])], step)
    assert average[0].item() == pytest.approx((1 * 1 / 5 + 6 * 4 / 5) * 2 / 6 + 2 * 4 / 6)
    share = [torch.tensor([0.0])]
    for step in range(1, 1001):
        step_average(share, [torch.tensor([float(step > 750)])], step)
    assert share[0].item() == pytest.approx(1 - 0.75**4, abs=0.01)


def test_rare_relations_weigh_more_and_the_mean_weight_is_one():
    loss = weighed_loss([0] * 16 + [1], relations=2, power=0.5)
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


def test_best_shift_is_averaged_over_seeds():
    curves = [{"-0.25": 0.58, "+0.00": 0.56, "+0.25": 0.5}, {"-0.25": 0.56, "+0.00": 0.57, "+0.25": 0.6}]
    results = [{"none_shift": curve} for curve in curves]
    assert best_shift(results) == "57.00 ± 1.41 at -0.25"
    assert best_shift([*results, {}]) == "57.00 ± 1.41 at -0.25 (2 of the seeds)"  # an early run has none
    assert best_shift([]) == ""


def test_blank_crops_encode_only_their_number(mnre_folder):
    dataset = load_mnre(mnre_folder)
    blank = with_blank_crops(dataset, mnre_folder, num_objects=2)
    with pytest.warns(UserWarning, match="leak the label"):
        published = load_mnre(mnre_folder, objects="published")
    for split, rows in blank.items():
        for row, plain in zip(rows, dataset[split], strict=True):
            images = [row["image"], *row["objects"]]
            assert all(np.array_equal(np.unique(image), [128]) for image in images)
            assert [row[name] for name in ("words", "label", "caption")] == [
                plain[name] for name in ("words", "label", "caption")
            ]
        assert max(len(objects) for objects in rows["objects"]) <= 2
        # Files that are absent are counted all the same, so there may be more than can be read.
        assert all(len(some["objects"]) >= min(len(read["objects"]), 2) for some, read in zip(rows, published[split]))


def result(name, seed, f1):
    return {
        "experiment": {"name": name},
        "seed": seed,
        "split": "validation",
        "scores": {"accuracy": 0.5, "precision": 0.4, "recall": 0.6, "f1": f1},
        "macro_f1": 0.3,
        "per_relation": {"/per/per/peer": {"precision": 0.1, "recall": 0.2, "f1": f1 / 2, "support": 7}},
        "epochs": [0.1, f1],
        "direction": {"rows": 10, "listed": 0.1, "swapped": 0.9},
        "as_listed": None,
        "train_rows": 100,
        "seconds": 60,
        "command": "python -m examples.research.reproduce run",
        "encoders": ["text", "vision"],
        "recipe": {"num_train_epochs": 3},
        "commit": "abc",
        "versions": {"torch": "2"},
    }


def test_tables_have_the_number_of_seeds(tmp_path):
    for seed, f1 in enumerate((0.5, 0.6, 0.55)):
        (tmp_path / "main").mkdir(exist_ok=True)
        (tmp_path / "main" / f"mtb-{seed}.json").write_text(json.dumps(result("mtb", seed, f1)))
    (tmp_path / "main" / "tgdi-0.json").write_text(json.dumps(result("tgdi", 0, 0.625)))
    lines = {line.split("|")[1].strip(): line for line in collect("main", tmp_path).splitlines() if "|" in line}
    # (50 + 60 + 55) / 3 = 55; deviations -5, 5, 0 give the square root of 50 / 2
    assert "| 3 |" in lines["text only"]
    assert "| 55.00 ± 5.00 |" in lines["text only"]
    assert "| 64.46 / 57.81 / 60.86 |" in lines["text only"]
    # Of the six categories the runs know one; half of each F1 is that relation's.
    assert lines["`/per/per/peer`"].startswith("| `/per/per/peer` | 7 | 27.50 ± 2.50 | 31.25 | 156 | 88.96 | 91.69 |")
    assert (tmp_path / "main.png").stat().st_size > 1000
    assert "| 1 |" in lines["TGDI"]
    assert "| 62.50 |" in lines["TGDI"]
    assert "| 0 |" in lines["text and caption"]
    assert "swapped" not in lines["MNRE, validation"]
    with (tmp_path / "main.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert (rows[0]["experiment"], rows[0]["seed"], rows[0]["f1"]) == ("mtb", "0", "0.5000")
    assert len(rows) == len(json.loads((tmp_path / "main.json").read_text())) == 4
    # The same runs under another title, in another table.
    (text,) = [line for line in collect("direction", tmp_path).splitlines() if "text only |" in line]
    assert (
        text
        == "| text only | 3 | 50.00 ± 0.00 | 40.00 ± 0.00 | 60.00 ± 0.00 | 55.00 ± 5.00 | 10.00 ± 0.00 | 90.00 ± 0.00 |"
    )


def test_table_has_one_pass_beside_two(tmp_path):
    (tmp_path / "direction").mkdir()
    listed = {"as_listed": {"f1": 0.57, "f1_of_one_pass": 0.56}, "averaged": {"f1": 0.51}}
    first = result("mtb-inverse", 0, 0.5) | listed
    second = result("mtb-inverse", 1, 0.5) | listed
    first["direction"] = {**first["direction"], "order_unknown": {"f1": 0.48, "unrelated_given": 0.25}}
    for seed, one in enumerate((first, second)):
        (tmp_path / "direction" / f"mtb-inverse-{seed}.json").write_text(json.dumps(one))
    (tmp_path / "direction" / "mtb-both-orders-0.json").write_text(json.dumps(result("mtb-both-orders", 0, 0.5)))
    head, _, *lines = collect("direction", tmp_path).splitlines()
    assert "F1 | F1, weighed for the listed order | the same from one pass | F1 of averaged weights |" in head
    same = [f"{value}.00 ± 0.00" for value in (50, 57, 56, 51, 10, 90)]
    unknown = ["48.00 (1 of the seeds)", "25.00 (1 of the seeds)"]  # what the second run did not measure
    assert any(line.endswith(f"| {' | '.join([*same, *unknown])} |") for line in lines)
    assert head.endswith("| F1, order unknown | `None` given a relation, order unknown |")
    with (tmp_path / "direction.csv").open() as file:
        assert sorted(row["order_unknown_f1"] for row in csv.DictReader(file)) == ["", "", "0.4800"]


def test_averaged_model_keeps_the_latest_buffers():
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    state, callback = SimpleNamespace(global_step=0), AveragedWeights()
    callback.on_train_begin(None, state, None, model)
    weights = []
    for state.global_step in (1, 2):
        model(torch.rand(8, 2) + 3)
        model[0].weight.data += 1
        weights.append(model[0].weight.data.clone())
        callback.on_step_end(None, state, None, model)
    torch.testing.assert_close(callback.model[1].running_mean, model[1].running_mean)
    assert callback.model[1].num_batches_tracked == 2
    torch.testing.assert_close(callback.model[0].weight.data, weights[0] / 5 + weights[1] * 4 / 5)


def test_sweeps_are_drawn_as_curves(tmp_path):
    (tmp_path / "low_resource").mkdir()
    for name, f1 in (("10-mtb", 0.2), ("50-mtb", 0.4), ("10-tgdi", 0.3)):
        (tmp_path / "low_resource" / f"{name}-0.json").write_text(json.dumps(result(name, 0, f1)))
    experiments = [experiment for experiment in read_experiments("low_resource") if experiment.name != "50-tgdi"]
    axes = Figure().subplots()
    found = results_of("low_resource", tmp_path)
    curves(axes, "low_resource", [experiment for experiment in experiments if found[experiment.name]], found)
    drawn = {container.get_label(): container.lines[0].get_xydata().tolist() for container in axes.containers}
    assert drawn == {"mtb": [[10, 20], [50, 40]], "tgdi": [[10, 30]]}
    collect("low_resource", tmp_path)
    assert (tmp_path / "low_resource.png").is_file()


def test_single_value_has_no_deviation():
    assert mean_and_deviation([]) == ""
    assert mean_and_deviation([0.5]) == "50.00"
    assert mean_and_deviation([0.5, 0.6]) == "55.00 ± 7.07"


def test_runs_execute_once_and_are_collected(mnre_folder, encoders, tmp_path, monkeypatch, capsys):
    def reproduce(*arguments):
        monkeypatch.setattr(sys, "argv", ["reproduce", "--results", str(tmp_path / "results"), *map(str, arguments)])
        main()

    text, vision = encoders
    runs, done = tmp_path / "runs" / "low_resource", tmp_path / "results" / "low_resource"
    command = ["run", "low_resource", mnre_folder, runs.parent, "--seeds", 0, "--steps", 2, "--only", "50-mtb"]
    command += ["50-tgdi", "--text-model", text, "--vision-model", vision]
    runs.mkdir(parents=True)
    with FileLock(runs / "50-tgdi-0.lock"):  # another process is at it
        reproduce(*command)
    assert [file.name for file in done.iterdir()] == ["50-mtb-0.json"]
    written = (done / "50-mtb-0.json").stat().st_mtime_ns
    reproduce(*command)
    assert (done / "50-mtb-0.json").stat().st_mtime_ns == written
    found = json.loads((done / "50-tgdi-0.json").read_text())
    assert (found["seed"], found["recipe"]["max_steps"]) == (0, 2)
    assert len(found["answers"]) == len(found["labels"]) == 4
    assert found["train_rows"] == len(found["row_ids"]) == 4  # half of each relation, but one row at least
    assert not any(path.is_dir() for path in runs.iterdir())  # no checkpoint is left
    (runs / "50-mtb-0" / "checkpoint-2").mkdir(parents=True)  # stopped between result and clean-up
    reproduce(*command)
    assert not any(path.is_dir() for path in runs.iterdir())
    capsys.readouterr()
    with pytest.raises(
        SystemExit, match=r"50-mtb-0.json is a run with other recipe: .*not .*1e-05.*another folder for --results"
    ):
        reproduce(*command, "--learning-rate", 1e-5)
    file = done / "50-mtb-0.json"
    there = json.loads(file.read_text())
    for what, value in (("experiment", {**there["experiment"], "share": 0.4}), ("data", {"train": "0"})):
        file.write_text(json.dumps({**there, what: value}))
        with pytest.raises(SystemExit, match=f"50-mtb-0.json is a run with other {what}"):
            reproduce(*command)
    file.write_text(json.dumps(there))
    with pytest.raises(SystemExit, match="has no split 'test', only train, validation"):
        reproduce(*command, "--split", "test")
    reproduce("compare", mnre_folder, "low_resource/50-mtb-0", "low_resource/50-tgdi-0")
    assert "50-tgdi-0: F1 minus that of 50-mtb-0: " in capsys.readouterr().out
    reproduce("collect", "low_resource")
    assert "| 1 |" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="low_resource has no 50-bert; it has 05-mtb"):
        reproduce("run", "low_resource", mnre_folder, runs.parent, "--only", "50-bert")


def test_comparison_of_two_runs(mnre_folder, tmp_path):
    labels = load_mnre(mnre_folder)["validation"]["label"][:]
    right, wrong = ({"split": "validation", "labels": labels, "answers": answers} for answers in (labels, [0] * 4))
    for name, run_ in (("right", right), ("wrong", wrong)):
        (tmp_path / f"{name}.json").write_text(json.dumps(run_))
    related = sum(label != 0 for label in labels)
    assert related > 0
    found = compare(mnre_folder, tmp_path / "wrong.json", tmp_path / "right.json")
    assert found.startswith("right: F1 minus that of wrong: +100.0 points")
    assert f"only this model classifies correctly {related}, only the other 0" in found
    (tmp_path / "right.json").write_text(json.dumps({**right, "labels": [1] * 4}))
    with pytest.raises(ValueError, match=r"right.json was scored on split 'validation' of data other"):
        compare(mnre_folder, tmp_path / "wrong.json", tmp_path / "right.json")


def test_object_sweep_requires_objects(mnre_folder, encoders, tmp_path):
    (experiment,) = [one for one in read_experiments("objects") if one.name == "1"]
    with pytest.raises(ValueError, match="m = 1 needs objects, and no row of .* has any: pass --objects"):
        run(experiment, 0, load_mnre(mnre_folder), mnre_folder, tmp_path, *encoders)


def test_experiment_overrides_the_command_line():
    slower = next(one for one in read_experiments("recipe") if one.name == "tgdi-slower")
    cnn, tgdi = (next(one for one in read_experiments("baselines" if name == "cnn" else "main") if one.name == name)
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


def test_smoke_tests_do_not_write_into_the_results(monkeypatch):
    arguments = ["--results", str(RESULTS), "run", "main", "data", "runs", "--steps", "2"]
    monkeypatch.setattr(sys, "argv", ["reproduce", *arguments])
    with pytest.raises(SystemExit, match="use another folder for --results"):
        main()


def test_runs_with_different_settings_are_not_averaged(tmp_path):
    (tmp_path / "main").mkdir()
    for seed, of in enumerate(({}, {"recipe": {"num_train_epochs": 20}})):
        (tmp_path / "main" / f"mtb-{seed}.json").write_text(json.dumps(result("mtb", seed, 0.5) | of))
    with pytest.raises(ValueError, match="mtb: cannot average runs with different recipe"):
        collect("main", tmp_path)
    for other, what in (
        ({"glove": "glove.txt"}, "word vectors"),
        ({"experiment": {"name": "mtb", "share": 0.5}}, "exper"),
    ):
        (tmp_path / "main" / "mtb-1.json").write_text(json.dumps(result("mtb", 1, 0.5) | other))
        with pytest.raises(ValueError, match=f"mtb: cannot average runs with different {what}"):
            collect("main", tmp_path)
    same = {"experiment": {"name": "mtb", "title": "text", "control_share": 1.0}}  # another title, a later field
    (tmp_path / "main" / "mtb-1.json").write_text(json.dumps(result("mtb", 1, 0.5) | same))
    collect("main", tmp_path)
    (tmp_path / "main" / "mtb-1.json").rename(tmp_path / "main" / "tgdi-0.json")
    collect("main", tmp_path)  # another model may have another recipe
    other = result("tgdi", 0, 0.5) | {"encoders": ["bert-large", "vit"]}
    (tmp_path / "main" / "tgdi-0.json").write_text(json.dumps(other))
    with pytest.raises(ValueError, match="main: cannot average runs with different encoders"):
        collect("main", tmp_path)
    for name, digest in (("mtb", "0"), ("tgdi", "1")):
        (tmp_path / "main" / f"{name}-0.json").write_text(
            json.dumps(result(name, 0, 0.5) | {"data": {"train": digest}})
        )
    with pytest.raises(ValueError, match="main: cannot average runs with different data"):
        collect("main", tmp_path)

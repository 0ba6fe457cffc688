import json
import shlex

import pytest
import typer
from datasets import DatasetDict
from typer.testing import CliRunner

from tgdi_hf.cli.main import app


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


def test_the_printed_command_reproduces_the_best_trial(corpus, encoders, tmp_path):
    pytest.importorskip("optuna")
    few = DatasetDict({split: corpus[split].select(range(24)) for split in ("train", "validation")})
    few.save_to_disk(tmp_path / "data")
    options = [
        "--text-model", encoders[0], "--vision-model", encoders[1], "--epochs", "1.0", "--preset", "paper",
        "--no-caption", "--listed-order", "--set", "toi_num_layers=1", "--set", "text_dropout=0.25",
    ]  # fmt: skip
    output = run("tune", tmp_path / "data", tmp_path / "search", "--trials", 1, *options)
    best = json.loads((tmp_path / "search" / "best.json").read_text())
    command = best["command"]
    assert command in output.splitlines() and "1 trial: 1 completed, 0 pruned, 0 failed. The best is trial 0." in output
    assert f"F1 of the first trial, the recipe of `tgdi train`: {100 * best['first_trial_f1']:.2f}" in output
    assert "text_dropout" not in best["settings"]["model_options"]  # set, hence not searched
    assert command == shlex.join(
        ["tgdi", "train", f"{tmp_path}/data", f"{tmp_path}/search/best", *options, "--learning-rate", "3e-05",
         "--fusion-learning-rate", "3e-05", "--warmup", "0.1", "--weight-decay", "0.01", "--set", "fusion_lambda=0.5"]
    )  # fmt: skip
    run(*shlex.split(command)[1:])
    results = json.loads((tmp_path / "search" / "best" / "all_results.json").read_text())
    assert {name: results[name] for name in best["validation"]} == pytest.approx(best["validation"], abs=1e-6)
    assert {"warmup_steps", "weight_decay"} <= set(json.loads((tmp_path / "search" / "best" / "run.json").read_text()))


def test_options_of_tune_are_those_of_train():
    commands = typer.main.get_command(app).commands
    options = {name: {opt for one in commands[name].params for opt in one.opts} for name in ("tune", "train")}
    assert options["tune"] - options["train"] == {"--trials", "--minutes"}
    assert {"--learning-rate", "--fusion-learning-rate", "--warmup", "--weight-decay", "--set"} <= options["train"]


def test_symmetric_relations_require_both_orders(tmp_path):
    result = CliRunner().invoke(app, ["tune", str(tmp_path), str(tmp_path / "out"), "--symmetric", "friend"])
    assert result.exit_code == 2 and "requires --both-orders" in result.output

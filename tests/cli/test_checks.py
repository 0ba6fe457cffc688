"""Checks of the command line before a model is loaded, and its messages."""

import json
import os
import socket
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from tgdi_hf.cli.main import app, main

POST = {"id": 7, "text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}
ENTITIES = ("--text", "Ann meets Bob", "--head", "Ann", "--tail", "Bob")
NO_MODELS = ("--captioner", "none", "--grounder", "none")


@pytest.fixture
def no_model(tmp_path, monkeypatch):
    """A folder that looks like a checkpoint, beside posts; to load it fails the test."""

    def loaded(*arguments, **options):
        pytest.fail("a model was loaded")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("transformers.pipeline", loaded)
    monkeypatch.setattr("tgdi_hf.TGDIForRelationExtraction.from_pretrained", loaded)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "posts.jsonl").write_text(json.dumps(POST))


def message_of(arguments, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["tgdi", *map(str, arguments)])
    with pytest.raises(SystemExit) as stopped:
        main()
    error = capsys.readouterr().err
    assert stopped.value.code == 1 and "Traceback" not in error and "╭" not in error
    return error


@pytest.mark.parametrize(
    ("arguments", "module", "extra"),
    [
        (("triples", "model", "posts.jsonl", "out.nt"), "rdflib", "rdf"),
        (("explain", "model", "why.png", *ENTITIES), "matplotlib", "viz"),
        (("audit", "data"), "sklearn", "audit"),
        (("prepare", "posts.jsonl", "out", "--spacy", "en_core_web_sm"), "spacy", "spacy"),
        (("train", "data", "run", "--report-to", "tensorboard"), "tensorboard", "tensorboard"),
        (("tune", "data", "search"), "optuna", "tune"),
        (("app", "model"), "gradio", "demo"),
        (("serve", "model"), "fastapi", "serve"),
        (("serve", "model"), "prometheus_client", "serve"),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_missing_extra_is_named_first(no_model, monkeypatch, capsys, arguments, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    error = message_of(arguments, monkeypatch, capsys)
    assert "Error: " in error and f"pip install 'tgdi_hf[{extra}]'" in error


def test_a_port_that_is_taken_is_reported_before_the_model_is_loaded(no_model, monkeypatch, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        error = message_of(("serve", "model", "--port", port), monkeypatch, capsys)
    assert f"Cannot serve on 127.0.0.1, port {port}" in error and "Choose another --host or --port." in error


def test_other_import_errors_keep_their_traceback(monkeypatch):
    def broken():
        raise ImportError("No module named 'torch'")

    monkeypatch.setattr("tgdi_hf.cli.main.app", broken)
    with pytest.raises(ImportError, match="torch"):
        main()


def test_a_report_without_figures_is_announced_first(no_model, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    result = CliRunner().invoke(app, ["evaluate", "model", str(tmp_path / "no-data"), "--report", "report"])
    assert result.exit_code == 1 and "will have no figures" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("predict", "model", "posts.jsonl", "out.jsonl"),
        ("triples", "model", "posts.jsonl", "out.csv"),
        ("explain", "model", "why.png", *ENTITIES),
        ("evaluate", "model", "data"),
        ("app", "model"),
        ("push", "model", "me/model", "--to", "upload"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_folder_has_no_revisions(no_model, monkeypatch, capsys, arguments):
    error = message_of([*arguments, "--revision", "v1"], monkeypatch, capsys)
    assert "The revision 'v1' applies to the Hub, but model is a folder" in error


def test_a_revision_is_pushed(tmp_path, monkeypatch):
    def asked(*arguments, revision=None, **options):
        raise ValueError(f"asked for revision {revision}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tgdi_hf.TGDIForRelationExtraction.from_pretrained", asked)
    result = CliRunner().invoke(app, ["push", "me/model", "me/other", "--revision", "v1", "--to", "upload"])
    assert "asked for revision v1" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("predict", "model", "posts.jsonl", "out.xlsx"), "out.xlsx: expected a name that ends in .jsonl, .csv"),
        (("triples", "model", "posts.jsonl", "out.txt"), ".csv, .parquet or .nt"),
        (("explain", "model", "why.txt", *ENTITIES), "why.txt: expected a file name ending in .png, .svg or .pdf"),
        (("predict", "model", "bad.jsonl.gz", "-"), "bad.jsonl.gz is damaged, or was not compressed with gzip"),
        (("predict", "model", "bad.json", "-"), "bad.json is an object that has the posts under 'posts'"),
        (("triples", "model", "bad.json", "out.csv"), "bad.json is an object that has the posts under 'posts'"),
        (("predict", "model", "bad.txt", "-"), "bad.txt: expected a .jsonl, .csv or .parquet file"),
    ],
)
def test_files_are_checked_before_a_model_is_loaded(no_model, monkeypatch, capsys, tmp_path, arguments, message):
    for name in ("bad.jsonl.gz", "bad.json", "bad.txt"):
        (tmp_path / name).write_text(json.dumps({"posts": [POST]}))
    assert message in message_of(arguments, monkeypatch, capsys)


@pytest.mark.parametrize(("command", "output"), [("predict", "-"), ("predict", "out.jsonl"), ("triples", "out.csv")])
def test_empty_input_is_reported(checkpoint, tmp_path, monkeypatch, command, output):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.jsonl").write_text("")
    for posts, where in (("-", "standard input"), ("empty.jsonl", "empty.jsonl")):
        result = CliRunner().invoke(app, [command, str(checkpoint), posts, output], input="")
        assert result.exit_code == 0 and f"No posts found in {where}." in result.stderr
        assert "Wrote" not in result.output and (output != "-" or result.stdout == "")


def test_scores_name_split_and_rows(checkpoint, corpus, tmp_path):
    corpus.save_to_disk(tmp_path / "data")
    result = CliRunner().invoke(app, ["evaluate", str(checkpoint), str(tmp_path / "data"), "--split", "test"])
    assert result.stdout.startswith("test, 32 rows:\naccuracy ")


@pytest.mark.slow  # starts processes
def test_quick_steps_show_no_progress_bars(checkpoint, tmp_path):
    posts = tmp_path / "posts.jsonl"
    posts.write_text(json.dumps(POST))
    commands = (
        ("predict", checkpoint, posts),
        ("push", checkpoint, "me/tiny", "--to", tmp_path / "upload"),
        ("prepare", posts, tmp_path / "out", *NO_MODELS, "--cache", tmp_path / "cache"),
        ("prepare", posts, tmp_path / "embedded", "--embed-images", *NO_MODELS, "--cache", tmp_path / "cache"),
    )
    environment = {name: value for name, value in os.environ.items() if name != "TQDM_DELAY"}
    for arguments in commands:
        command = [sys.executable, "-m", "tgdi_hf", *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, env=environment)
        assert done.returncode == 0, done.stderr
        assert not any(sign in done.stderr for sign in ("it/s", "examples", "Loading weights", "Writing model", "%|"))


def test_an_unknown_preset_is_refused_before_data_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr("tgdi_hf.data.loading.load_data", lambda *arguments, **options: pytest.fail("data were read"))
    result = CliRunner().invoke(app, ["train", str(tmp_path), str(tmp_path / "run"), "--preset", "papr"])
    assert result.exit_code == 2 and "papr" in result.output and "paper" in result.output


@pytest.mark.parametrize(
    ("options", "both_orders", "swap_images"),
    [
        ((), False, None),
        (("--both-orders",), True, None),
        (("--preset", "application"), True, None),
        (("--preset", "application", "--listed-order", "--swap-images", "0"), False, 0.0),
    ],
)
def test_the_preset_for_applications_trains_on_both_orders(tmp_path, monkeypatch, options, both_orders, swap_images):
    calls = []
    monkeypatch.setattr("tgdi_hf.data.loading.load_data", lambda *arguments, **options: {"validation": []})
    monkeypatch.setattr(
        "tgdi_hf.training.fine_tuning.fine_tune",
        lambda *arguments, **options: calls.append(options) or {"eval_f1": 0.5},
    )
    CliRunner().invoke(app, ["train", str(tmp_path), str(tmp_path / "run"), *options])
    (call,) = calls
    assert call["model_options"]["direction_balanced"] is both_orders
    assert call["swap_images"] == swap_images

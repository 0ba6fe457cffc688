import json

import pytest
from typer.testing import CliRunner

from tgdi_hf.cli.main import app

POST = {"id": 7, "text": "Ann meets Bob in Rome", "entities": ["Ann", "Bob", "Rome"]}


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_tasks_and_configuration(checkpoint, tmp_path):
    (tmp_path / "posts.jsonl").write_text(json.dumps(POST) + "\n{\n")
    done = run(
        "label", checkpoint, tmp_path / "posts.jsonl", tmp_path / "tasks.json", "--config", tmp_path / "x/label.xml",
        "--pairs", -50, "--model-version", "v2",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    (task,) = json.loads((tmp_path / "tasks.json").read_text())
    relations = [one for one in task["predictions"][0]["result"] if one["type"] == "relation"]
    assert task["predictions"][0]["model_version"] == "v2" and len(relations) == 3
    assert "Wrote 1 task with 3 relations to" in done.output and "1 post could not be used" in done.output
    assert "skipped: " in done.output and "line 2: expected a JSON object" in done.output
    configuration = (tmp_path / "x/label.xml").read_text()
    assert '<Relation value="/per/per/couple"/>' in configuration and '"None"' not in configuration


def test_nothing_is_said_of_unusable_posts_without_any(checkpoint, tmp_path):
    (tmp_path / "posts.jsonl").write_text(json.dumps(POST) + "\n")
    done = run("label", checkpoint, tmp_path / "posts.jsonl", tmp_path / "tasks.json")
    assert done.exit_code == 0 and "Wrote 1 task" in done.output and "could not be used" not in done.output


def test_nothing_usable(checkpoint, tmp_path):
    (tmp_path / "posts.jsonl").write_text("{\n")
    done = run("label", checkpoint, tmp_path / "posts.jsonl", tmp_path / "tasks.json")
    assert done.exit_code == 1 and json.loads((tmp_path / "tasks.json").read_text()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("posts.jsonl", "tasks.csv"), "expected a name that ends in .json"),
        (("gone.jsonl", "tasks.json"), "no such file"),
    ],
)
def test_arguments_are_checked_before_a_model_is_loaded(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "posts.jsonl").write_text(json.dumps(POST))
    done = run("label", "no-model", *arguments)
    assert done.exit_code == 2 and message in " ".join(done.output.replace("│", " ").split())

"""Workflows of GitHub and hooks of pre-commit: valid, and in step with setup.py and the Makefile."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))
SETUP = (ROOT / "setup.py").read_text(encoding="utf-8")


def load(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    content["on"] = content.pop(True)  # YAML 1.1 reads `on` as a Boolean
    return content


def steps(workflow):
    return [step for job in workflow["jobs"].values() for step in job.get("steps", [])]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
def test_workflow_is_complete(path):
    workflow = load(path)
    assert workflow["on"] and workflow["permissions"] == {"contents": "read"}
    for job in workflow["jobs"].values():
        assert ("uses" in job) != ("runs-on" in job and "steps" in job)
        assert set(job.get("needs", "").split()) <= workflow["jobs"].keys()
    for step in steps(workflow):
        assert ("uses" in step) != ("run" in step)
        assert re.fullmatch(r"[\w./-]+@[\w./-]+", step.get("uses", "owner/action@v1"))


def test_checks_run_the_targets_of_the_makefile():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = {*re.findall(r"^([\w-]+):", makefile, re.M)}
    commands = [step["run"] for step in steps(load(ROOT / ".github/workflows/check.yml")) if "run" in step]
    used = {target for command in commands for target in command.removeprefix("make ").split()}
    recipe = re.search(r"^check: .+\n((?:\t.+\n)+)", makefile, re.M)[1]
    gates = {*re.findall(r"(?<= )[a-z]+", recipe)}
    assert len(gates) == 4
    assert gates <= used <= targets


def test_every_python_version_of_the_classifiers_is_tested():
    matrix = load(ROOT / ".github/workflows/check.yml")["jobs"]["test"]["strategy"]["matrix"]
    assert matrix["python"] == re.findall(r'Python :: (3\.\d+)"', SETUP)


def test_release_checks_before_it_publishes_and_stores_no_token():
    release = load(ROOT / ".github/workflows/release.yml")
    assert release["on"] == {"push": {"tags": ["v*"]}}
    assert release["jobs"]["check"]["uses"] == "./.github/workflows/check.yml"
    assert "workflow_call" in load(ROOT / ".github/workflows/check.yml")["on"]
    assert release["jobs"]["build"]["needs"] == "check" and release["jobs"]["publish"]["needs"] == "build"
    assert release["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets." not in (ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8")


def test_pre_commit_formats_with_the_pinned_ruff():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (ruff,) = [repo for repo in hooks["repos"] if repo["repo"].endswith("ruff-pre-commit")]
    assert ruff["rev"] == "v" + re.search(r'"ruff==([\d.]+)"', SETUP)[1]

import json

import pytest
from typer.testing import CliRunner

from tgdi_hf.cli.main import app

from ..annotations.label_studio_tasks import exported


def run(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def export(tmp_path):
    (tmp_path / "export.json").write_text(json.dumps(exported(6)))
    return tmp_path / "export.json"


def test_the_options_reach_the_import(export, tmp_path):
    done = run(
        "import", export, tmp_path / "out", "--format", "label-studio", "--annotators", "2", "--annotators", "1",
        "--symmetric", "none", "--negatives", "none", "--split", 0.5, 0.5, 0, "--seed", 3, "--offsets", "code-points",
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert f"to train on them: tgdi train {tmp_path / 'out'} RUN" in done.output
    assert "train      3 posts, 3 rows" in done.output and "symmetric  no relation" in done.output
    settings = json.loads((tmp_path / "out/import.json").read_text())
    assert settings["symmetric"] == [] and settings["annotators"] == ["2", "1"] and settings["seed"] == 3


def test_invalid_options(export, tmp_path):
    assert run("import", export, tmp_path / "out").exit_code == 2
    done = run("import", export, tmp_path / "out", "--format", "xml")
    assert done.exit_code == 2 and "label-studio" in done.output
    done = run("import", export, tmp_path / "out", "--format", "label-studio", "--negatives", "some")
    assert done.exit_code == 1 and "expected all, none or sample:N" in str(done.exception)

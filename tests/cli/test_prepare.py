import json

import pytest
from typer.testing import CliRunner

from tgdi_hf.cli.main import app


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        ("label", "; to train on them: tgdi train {output} RUN"),
        ("relation", "; to train on them: tgdi train {output} RUN"),
        ("lable", "; they have no column `label`, which training requires. Is 'lable' meant to be it?"),
        ("note", "; they have no column `label`, which training requires."),
    ],
)
def test_the_next_step_depends_on_the_labels(column, advice, tmp_path):
    posts, output = tmp_path / "posts.jsonl", tmp_path / "out"
    posts.write_text(json.dumps({"text": "Ann meets Bob", "head": "Ann", "tail": "Bob", column: "None"}) + "\n")
    without_models = ("--captioner", "none", "--grounder", "none", "--cache", tmp_path / "cache")
    done = CliRunner().invoke(app, [str(word) for word in ("prepare", posts, output, *without_models)])
    assert done.exit_code == 0 and done.output.rstrip().endswith(advice.format(output=output))

import json

import pytest
from typer.testing import CliRunner

from tgdi_hf.cli.main import app


@pytest.mark.parametrize(
    ("column", "advice"),
    [
        ("label", "; to train on them: tgdi train {output} RUN"),
        ("relation", "; to train on them: tgdi train {output} RUN"),
        ("lable", "which training requires. Are the relations in 'lable'? Then rename it."),
        ("Relatoin", "which training requires. Are the relations in 'Relatoin'? Then rename it."),
        ("table", "; they have no column `label` or `relation`, which training requires."),
    ],
)
def test_the_next_step_depends_on_the_labels(column, advice, tmp_path):
    posts, output = tmp_path / "posts.jsonl", tmp_path / "out"
    posts.write_text(json.dumps({"text": "Ann meets Bob", "head": "Ann", "tail": "Bob", column: "None"}) + "\n")
    without_models = ("--captioner", "none", "--grounder", "none", "--cache", tmp_path / "cache")
    done = CliRunner().invoke(app, [str(word) for word in ("prepare", posts, output, *without_models)])
    assert done.exit_code == 0 and done.output.rstrip().endswith(advice.format(output=output))


def test_posts_with_faults_are_listed_in_a_file(tmp_path):
    posts, output = tmp_path / "posts.jsonl", tmp_path / "out"
    (tmp_path / "broken.png").write_bytes(b"\x89PNG")
    post = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob", "label": "None"}
    rows = [{**post, "image": image} for image in ("broken.png", "absent.png")]
    posts.write_text("".join(json.dumps(row) + "\n" for row in rows))
    without_models = ("--captioner", "none", "--grounder", "none", "--cache", tmp_path / "cache")
    done = CliRunner().invoke(app, [str(word) for word in ("prepare", posts, output, *without_models)])
    assert f"all of these posts: {output / 'report.jsonl'}\n" in done.output
    listed = [json.loads(line) for line in (output / "report.jsonl").read_text().splitlines()]
    assert ["broken.png" in listed[0]["reason"], "absent.png" in listed[1]["reason"]] == [True, True]


def test_misspelt_paths_have_a_hint(tmp_path):
    (tmp_path / "posts.jsonl").touch()
    done = CliRunner().invoke(app, ["prepare", str(tmp_path / "post.jsonl"), str(tmp_path / "out")])
    expected = (
        f"{tmp_path / 'post.jsonl'}: no such file or folder; expected posts. Did you mean {tmp_path / 'posts.jsonl'}?"
    )
    assert str(done.exception) == expected

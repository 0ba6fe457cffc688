import json

import pytest
from typer.testing import CliRunner

from tgdi_hf import evaluate
from tgdi_hf.cli.main import app
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.perturbed import PerturbedDataset

from .scored import QUICK


def test_the_command_writes_the_report(corpus, checkpoint, tmp_path):
    pytest.importorskip("matplotlib")
    corpus.save_to_disk(tmp_path / "data")
    arguments = ["evaluate", checkpoint, tmp_path / "data", "--split", "test", "--report", tmp_path / "report"]
    arguments += ["--compare", checkpoint, "--control", "shuffled-images", "--output", tmp_path / "scores.json"]
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + str(result.exception)
    files = {path.name for path in (tmp_path / "report").iterdir()}
    assert files == {"report.json", "report.md", "errors.html", "calibration.png", "confusion.png"}
    report = json.loads((tmp_path / "report" / "report.json").read_text())
    images = sum(image is not None for image in undecoded(corpus["test"])["image"])
    assert report["scored"] == {
        "data": str(tmp_path / "data"), "split": "test", "rows": 32, "objects": "none", "control": "shuffled-images",
        "share": 1.0, "changed": images, "listed_order": False, "seed": 0,
    }  # fmt: skip
    text = (tmp_path / "report" / "report.md").read_text()
    assert f"split test, **under the control shuffled-images, which changed {images} of 32 rows**." in text
    page = (tmp_path / "report" / "errors.html").read_text()
    wrong = round(report["rows"] * (1 - report["scores"]["accuracy"]["value"]))
    assert page.count("<article>") == wrong and "data:image/jpeg" in page and "<mark class=head>" in page
    assert "http" not in page
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert scores.pop("scored") == report["scored"]
    again = evaluate(checkpoint, corpus["test"], control=PerturbedDataset(corpus["test"], "shuffled-images"), **QUICK)
    assert scores.items() <= again.items() and scores["eval_f1"] == report["scores"]["f1"]["value"]
    result = CliRunner().invoke(
        app, ["evaluate", str(checkpoint), str(tmp_path / "data"), "--compare", str(checkpoint)]
    )
    assert result.exit_code == 2 and "--report" in result.output
    result = CliRunner().invoke(app, ["evaluate", str(checkpoint), str(tmp_path / "data"), "--share", "0.5"])
    assert result.exit_code == 2 and "--share requires --control" in result.output

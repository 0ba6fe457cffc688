import json

import numpy as np
import pytest
from typer.testing import CliRunner

from tgdi_hf import evaluate
from tgdi_hf.cli.main import app
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.perturbed import PerturbedDataset
from tgdi_hf.evaluation.report_files import write_report
from tgdi_hf.evaluation.report_scores import report_of

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


def test_robustness_is_drawn_if_it_was_examined(tmp_path):
    pytest.importorskip("matplotlib")
    report = report_of(np.eye(2), np.array([0, 1]), ["None", "/per/per/peer"], rounds=5)
    assert write_report(report, tmp_path / "without")
    assert not (tmp_path / "without" / "robustness.png").exists()
    score, few = {"value": 0.9, "low": 0.8, "high": 0.95}, {"value": 0.5, "low": None, "high": None}
    found = {
        "no-image": {"rows": 40, "unchanged": score, "perturbed": score, "drop": score, "answers": 0.1},
        "no-caption": {"rows": 4, "unchanged": few, "perturbed": few, "drop": few, "answers": 0.2},
    }
    assert write_report({**report, "robustness": found}, tmp_path / "with")
    assert (tmp_path / "with" / "robustness.png").stat().st_size > 5000
    text = (tmp_path / "with" / "report.md").read_text()
    assert "| no-image | 40 | 90.0 (80.0 to 95.0) | 90.0 (80.0 to 95.0) | 90.0 (80.0 to 95.0) | 10.0 |" in text
    assert "| no-caption | 4 | 50.0 | 50.0 | 50.0 | 20.0 |" in text

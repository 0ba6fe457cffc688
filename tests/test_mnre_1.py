"""A folder in the format of MNRE-1, whose label for no relation is `none`, from the command line to triples."""

import json

import numpy as np
import pytest
from transformers import EvalPrediction
from typer.testing import CliRunner

from tgdi_hf import (
    MultimodalRelationExtractionPipeline,
    TGDIForRelationExtraction,
    TGDIProcessor,
    compute_metrics,
    load_mnre,
    make_compute_metrics,
)
from tgdi_hf.cli.main import app
from tgdi_hf.data.entity_order import swapped_labels
from tgdi_hf.inference.triples import extract_triples

from .data.mnre_folder import MNRE_1_POSTS, MNRE_1_RELATIONS, write_mnre_1


def run(*arguments):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output + str(result.exception)
    return result.output


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_mnre_1(tmp_path_factory.mktemp("mnre_1"), posts=MNRE_1_POSTS * 2)


@pytest.fixture(scope="module")
def trained(folder, encoders, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / "model"
    run(*["train", folder, output, "--text-model", encoders[0], "--vision-model", encoders[1]],
        *["--epochs", 1, "--batch-size", 4, "--both-orders"])  # fmt: skip
    return output


def test_training_declares_the_negative_label_of_the_data(trained):
    config = TGDIForRelationExtraction.from_pretrained(trained).config
    assert [config.id2label[i] for i in range(5)] == MNRE_1_RELATIONS
    assert (config.negative_label, config.none_label) == ("none", 0)
    # Of the four relations only `peer` is one of MNRE's symmetric ones.
    assert config.inverse_labels == 3


def test_evaluation_leaves_the_negative_label_out(trained, folder, tmp_path):
    run("evaluate", trained, folder, "--output", tmp_path / "scores.json", "--report", tmp_path / "report")
    scores = json.loads((tmp_path / "scores.json").read_text())
    report = json.loads((tmp_path / "report/report.json").read_text())
    assert scores["eval_support none"] == 4
    rows = load_mnre(folder)["validation"]
    names = rows.features["label"].names
    found = np.array(report["confusion"]["matrix"])
    predicted, correct = found[:, 1:].sum(), found.diagonal()[1:].sum()
    assert scores["eval_recall"] == pytest.approx(correct / 8)
    assert scores["eval_precision"] == pytest.approx(correct / predicted if predicted else 0)
    assert report["confusion"]["names"] == names
    assert report["direction"]["rows"] == 4  # those labelled `none`
    run("evaluate", trained, folder, "--listed-order")


def test_the_pipeline_drops_the_negative_label(trained):
    model, processor = TGDIForRelationExtraction.from_pretrained(trained), TGDIProcessor.from_pretrained(trained)
    model.classifier.bias.data[0] = 100.0
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    post = {"text": "Ann meets Bob", "entities": ["Ann", "Bob"]}
    assert [pair["relation"] for pair in pipe(post)["pairs"]] == ["none"]
    assert pipe(post, drop_none=True)["pairs"] == []
    assert list(extract_triples(pipe, [post])) == []


def test_the_audit_predicts_relations_from_none(folder, tmp_path):
    pytest.importorskip("sklearn")
    posts = [{**row, "token": [*row["token"], str(i)]} for i in range(10) for row in MNRE_1_POSTS]
    assert "relation or none" in run("audit", write_mnre_1(tmp_path, posts=posts))


def test_metrics_find_the_label_in_either_spelling():
    predicted = EvalPrediction(np.eye(5)[[0, 1, 2, 0]], np.array([0, 1, 3, 1]))
    scores = compute_metrics(predicted, names=MNRE_1_RELATIONS)
    # 1 of 2 predicted relations and 1 of 3 relations are found.
    assert (scores["precision"], scores["recall"]) == (1 / 2, pytest.approx(1 / 3))
    assert make_compute_metrics(MNRE_1_RELATIONS)(predicted) == scores
    assert swapped_labels(MNRE_1_RELATIONS).tolist() == [0, 0, 0, 0, 4]

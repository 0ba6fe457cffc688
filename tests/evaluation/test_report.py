import json
import shutil

import numpy as np
import pytest

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction, evaluate, evaluation_report
from tgdi_hf.data.perturbed import PerturbedDataset
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.evaluation.answers import errors_of
from tgdi_hf.evaluation.probabilities import SwappedPairs
from tgdi_hf.evaluation.report_tables import report_as_markdown

from .scored import QUICK, replace_probabilities


def test_the_report_agrees_with_evaluate(corpus, checkpoint):
    report, answers = evaluation_report(checkpoint, corpus["test"], rounds=50, **QUICK)
    metrics = evaluate(checkpoint, corpus["test"], **QUICK)
    for name, of in report["scores"].items():
        assert of["value"] == pytest.approx(metrics[f"eval_{name}"])
    json.dumps(report, allow_nan=False)
    wrong = list(errors_of(answers, corpus["test"]))
    assert len(wrong) == round(32 * (1 - metrics["eval_accuracy"]))
    assert all("label" not in row and row["relation"] in answers["names"] for row in wrong)
    assert all(row["predicted"] != row["relation"] for row in wrong)
    assert [row["score"] for row in wrong] == sorted((row["score"] for row in wrong), reverse=True)


def test_direction_detects_a_model_that_relies_on_the_order(corpus, checkpoint, monkeypatch):
    """One that says None where the head comes first, and something else where it does not."""

    def by_order(model, processor, names, rows, **arguments):
        return np.eye(len(names))[[0 if tuple(r["head"]) < tuple(r["tail"]) else 1 for r in rows]]

    replace_probabilities(monkeypatch, by_order)
    report, _ = evaluation_report(checkpoint, corpus["train"], rounds=10)
    unrelated = [row for row in corpus["train"] if row["label"] == 0]
    first = np.mean([row["head"] < row["tail"] for row in unrelated])
    # It finds relations with the tail first alone, all of them the same one; this also is what the pipeline would say.
    unknown = report["direction"].pop("order_unknown")
    assert report["direction"] == {"rows": len(unrelated), "listed": 1 - first, "swapped": first}
    assert unknown["unrelated_given"] == 1
    assert f"{100 * unknown['f1']:.1f}" in report_as_markdown(
        evaluation_report(checkpoint, corpus["train"], rounds=10)[0]
    )


def test_perturbed_rows_are_scored(corpus, checkpoint):
    changed = PerturbedDataset(corpus["test"], "text-only")
    report, answers = evaluation_report(checkpoint, corpus["test"], control=changed, rounds=50, **QUICK)
    assert report["scores"]["f1"]["value"] == evaluate(checkpoint, corpus["test"], control=changed, **QUICK)["eval_f1"]
    assert "present" not in report["groups"]["image"]  # as the model got to see them
    _, unchanged = evaluation_report(checkpoint, corpus["test"], rounds=50, **QUICK)
    assert not np.allclose(answers["probabilities"], unchanged["probabilities"])


def test_models_are_compared_on_the_same_rows(corpus, checkpoint, model, processor, tmp_path):
    report, _ = evaluation_report(checkpoint, corpus["test"], compare=checkpoint, rounds=50, **QUICK)
    assert report["comparison"]["f1"] == {"difference": 0.0, "interval": [0.0, 0.0], "p": 1.0}
    # The same model with its relations in another order is the same model.
    names = [model.config.id2label[i] for i in range(model.config.num_labels)]
    order = [0, *range(len(names) - 1, 0, -1)]
    model.classifier.weight.data, model.classifier.bias.data = (
        model.classifier.weight[order],
        model.classifier.bias[order],
    )
    model.config.id2label = {i: names[j] for i, j in enumerate(order)}
    model.config.label2id = {name: i for i, name in model.config.id2label.items()}
    for part in (model, processor):
        part.save_pretrained(tmp_path / "other")
    report, _ = evaluation_report(checkpoint, corpus["test"], compare=tmp_path / "other", rounds=50, **QUICK)
    assert report["comparison"]["mcnemar"] == {"only_one": 0, "only_two": 0, "p": 1.0}


def test_the_sign_of_the_comparison_is_that_of_the_first_model(corpus, checkpoint, tmp_path, monkeypatch):
    """One model that is always right, one that always says None: whatever the order, the sign is that of the first."""
    shutil.copytree(checkpoint, tmp_path / "other")
    right = iter((True, False, False, True))  # of the one and the other checkpoint, twice

    def answers(model, processor, names, rows, **arguments):
        labels = [row["label"] for row in rows]
        if isinstance(rows, SwappedPairs):
            return np.eye(len(names))[labels]
        return np.eye(len(names))[labels if next(right) else np.zeros(len(labels), dtype=int)]

    replace_probabilities(monkeypatch, answers)
    monkeypatch.setattr("tgdi_hf.evaluation.report.order_sensitivity", lambda *of: {})
    related = sum(label != 0 for label in corpus["test"]["label"])
    for sign in (1, -1):
        report, _ = evaluation_report(checkpoint, corpus["test"], compare=tmp_path / "other", rounds=100, perturb=False)
        found = report["comparison"]
        assert found["f1"]["difference"] == sign and found["f1"]["interval"] == [sign, sign]
        only = ("only_two", "only_one")[::sign]
        assert (found["mcnemar"][only[0]], found["mcnemar"][only[1]]) == (related, 0)
        text = report_as_markdown(report)
        assert f"F1 minus that of {tmp_path / 'other'}: {100 * sign:+.1f} points" in text
        assert f"only this model classifies correctly {related if sign == 1 else 0}," in text


def test_models_with_different_relations_are_compared(corpus, checkpoint, processor, tmp_path):
    names = corpus["test"].features["label"].names
    model, _ = tiny_tgdi(corpus)
    config = {**model.config.to_dict(), "id2label": dict(enumerate(["more", *names]))}
    config["label2id"] = {name: i for i, name in config["id2label"].items()}
    for part in (TGDIForRelationExtraction(TGDIConfig.from_dict(config)), processor):
        part.save_pretrained(tmp_path / "more")
    for one, two in ((tmp_path / "more", checkpoint), (checkpoint, tmp_path / "more")):
        report, _ = evaluation_report(one, corpus["test"], compare=two, rounds=10, **QUICK)
        assert report["comparison"]["mcnemar"]["p"] <= 1

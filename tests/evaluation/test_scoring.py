import json
import shutil

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from transformers import set_seed
from typer.testing import CliRunner

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction, evaluate, evaluation_report, undecoded
from tgdi_hf.cli.main import app
from tgdi_hf.data.entity_order import (
    count_inverses,
    estimate_order_prior,
    fold_inverse_probabilities,
    is_tail_first,
    swapped_labels,
)
from tgdi_hf.data.perturbed import PerturbedDataset
from tgdi_hf.demo.demo import tiny_tgdi
from tgdi_hf.evaluation.answers import errors_of
from tgdi_hf.evaluation.order_prior import mean_of_both_orders, with_order_prior
from tgdi_hf.evaluation.probabilities import SwappedPairs, probabilities_of
from tgdi_hf.evaluation.report_scores import report_of
from tgdi_hf.evaluation.report_tables import report_as_markdown

QUICK = dict(dataloader_num_workers=0, disable_tqdm=True)
NAMES = ["None", "/per/per/peer", "/per/org/member_of", "/loc/loc/contain"]


def one_hot(ids):
    return np.eye(len(NAMES))[ids] * 0.8 + 0.05


def test_a_report_by_hand():
    labels = np.array([0, 0, 1, 1, 2, 2])
    predictions = np.array([0, 1, 1, 0, 2, 1])
    columns = {"image": [True, True, True, False, False, False], "relevance": [0.0, 0.05, 0.5, None, 0.001, 0.1]}
    report = report_of(one_hot(predictions), labels, NAMES, columns, rounds=200)
    values = {name: of["value"] for name, of in report["scores"].items()}
    assert values == {"accuracy": 0.5, "precision": 0.5, "recall": 0.5, "f1": 0.5}
    assert all(of["low"] <= of["value"] <= of["high"] for of in report["scores"].values())
    # peer: 1 of 3 predicted, 1 of 2 real, F1 0.4; member_of: 1 of 1, 1 of 2, 2/3; nobody speaks of contain.
    assert report["macro_f1"] == pytest.approx((0.4 + 2 / 3) / 2)
    together = report_of(one_hot(predictions), labels, NAMES, columns, rounds=200, posts=np.array(["a"] * 6))
    assert together["scores"]["accuracy"] == {"value": 0.5, "low": 0.5, "high": 0.5}  # one post
    assert together["macro_f1_interval"] == pytest.approx([together["macro_f1"]] * 2)
    assert report["per_relation"]["/per/per/peer"]["f1_interval"] is None  # two rows
    fifteen = report_of(one_hot(np.tile(predictions, 15)), np.tile(labels, 15), NAMES, rounds=200)
    low, high = fifteen["per_relation"]["/per/per/peer"]["f1_interval"]
    assert 0.2 < low < 0.4 < high < 0.6  # of thirty
    low, high = fifteen["macro_f1_interval"]
    assert 0.35 < low < fifteen["macro_f1"] < high < 0.7
    assert report["confusion"]["matrix"] == [[1, 1, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert [*report["paper_categories"]] == NAMES[1:]
    groups = {name: {group: of["rows"] for group, of in of.items()} for name, of in report["groups"].items()}
    assert groups["image"] == {"present": 3, "absent": 3}
    assert groups["relevance"] == {"below 0.001": 1, "0.001 to 0.1": 2, "from 0.1": 2, "unknown": 1}
    present = report["groups"]["image"]["present"]
    assert present["accuracy"] == {"value": pytest.approx(2 / 3), "low": None, "high": None}  # of three rows
    nothing = dict.fromkeys(("value", "low", "high"))
    below = report["groups"]["relevance"]["below 0.001"]  # one row without relation, and none predicted
    assert below["f1"] == below["precision"] == below["recall"] == nothing
    assert report["calibration"]["ece"] == pytest.approx(abs(0.85 - 0.5))
    text = report_as_markdown(report)
    assert (
        "| image absent | 3 | 33.3 | 50.0 | 33.3 | 40.0 |" in text
        and "| relevance below 0.001 | 1 | 100.0 | – | – | – |" in text
        and "| `/per/per/peer` | 2 | 33.3 | 50.0 | 40.0 |" in text
    )
    assert text.count("`/per/per/peer`") == 2 and "| of the paper's Table 3 | rows |" in text


def test_the_report_of_a_model_says_what_evaluate_says(corpus, checkpoint):
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


def test_direction_sees_a_model_that_goes_by_the_order(corpus, checkpoint, monkeypatch):
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


def replace_probabilities(monkeypatch, function):
    for module in ("report", "order_prior"):
        monkeypatch.setattr(f"tgdi_hf.evaluation.{module}.probabilities_of", function)


@pytest.fixture
def balanced(checkpoint):
    """A checkpoint that says of itself that it was trained on both orders."""
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "direction_balanced": True}))
    return checkpoint


def test_a_model_that_knows_the_order_is_not_told_again(corpus, checkpoint):
    for score in (evaluate, evaluation_report):
        with pytest.raises(ValueError, match="was not trained on both orders"):
            score(checkpoint, corpus["test"], train=corpus["train"], **QUICK)


def test_the_listed_order_counts_in_scores_and_not_in_direction(corpus, balanced, monkeypatch):
    """A model that knows nothing, and training rows whose tail is first for one relation alone."""
    replace_probabilities(
        monkeypatch,
        lambda model, processor, names, rows, **arguments: np.eye(len(names))[:1].repeat(len(rows), axis=0) * 0.1 + 0.5,
    )
    names = corpus["train"].features["label"].names
    some = {"text": ["abc", "def"], "head": [[0, 1], [2, 3]], "tail": [[2, 3], [0, 1]], "label": [0, 1]}
    train = Dataset.from_dict(some).cast_column("label", ClassLabel(names=names))
    weights = estimate_order_prior(train, names)
    assert weights[1, 0] == 0.5  # a None is never listed with its tail first
    plain, answers = evaluation_report(balanced, corpus["test"], rounds=10)
    assert not plain["as_listed"] and answers["probabilities"].argmax(axis=1).max() == 0
    report, answers = evaluation_report(balanced, corpus["test"], rounds=10, train=train)
    swapped = np.array([row["tail"] < row["head"] for row in corpus["test"]])
    assert report["as_listed"] and 0 < swapped.sum() < len(swapped)
    assert ((answers["probabilities"].argmax(axis=1) != 0) == swapped).all()
    assert report["direction"] == plain["direction"]
    scores = {f"eval_{name}": of["value"] for name, of in report["scores"].items()}
    report, _ = evaluation_report(balanced, corpus["test"], compare=balanced, rounds=10, train=train)
    assert report["comparison"]["mcnemar"] == {"only_one": 0, "only_two": 0, "p": 1.0}  # both are told
    assert scores.items() <= evaluate(balanced, corpus["test"], train=train).items()


def test_inverse_relations_are_read_in_both_orders(corpus):
    names = corpus["train"].features["label"].names
    swapped_label = swapped_labels(names, inverses=True)
    set_seed(0)
    model, processor = tiny_tgdi(corpus, direction_balanced=True, inverse_labels=count_inverses(names))
    rows = undecoded(corpus["test"])
    read = probabilities_of(model, processor, names, rows, directed=True, **QUICK)
    plain = probabilities_of(model, processor, names, rows, **QUICK)
    np.testing.assert_allclose(fold_inverse_probabilities(read, names), plain, atol=1e-6)
    of_swapped = probabilities_of(model, processor, names, SwappedPairs(rows), directed=True, **QUICK)
    twice = mean_of_both_orders(read, of_swapped, names, model.config)
    assert mean_of_both_orders(plain, None, names, model.config) is plain
    found = with_order_prior(twice, model, names, corpus["test"], corpus["train"])
    of_order = []
    for head, tail in (("head", "tail"), ("tail", "head")):
        inputs = processor(
            text=rows["text"][:], head=rows[head][:], tail=rows[tail][:], images=corpus["test"]["image"][:],
            caption=rows["caption"][:], return_tensors="pt",
        )  # fmt: skip
        with torch.no_grad():
            of_order.append(model.eval()(**inputs).directed_logits.softmax(dim=-1).double().numpy())
    both = (of_order[0] + of_order[1][:, swapped_label]) / 2
    both *= estimate_order_prior(corpus["train"], names, inverses=True)[is_tail_first(rows)]
    both /= both.sum(axis=1, keepdims=True)
    both[:, names.index("None")] += both[:, len(names) :].sum(axis=1)
    np.testing.assert_allclose(found, both[:, : len(names)], atol=1e-5)
    assert found.sum(axis=1) == pytest.approx(1)


def test_the_model_says_which_relations_hold_both_ways(corpus, balanced, monkeypatch):
    config = json.loads((balanced / "config.json").read_text())
    (balanced / "config.json").write_text(json.dumps({**config, "symmetric_relations": ["member_of"]}))
    weights = []

    def recorded(*arguments):
        weights.append(estimate_order_prior(*arguments))
        return weights[-1]

    monkeypatch.setattr("tgdi_hf.evaluation.order_prior.estimate_order_prior", recorded)
    evaluate(balanced, corpus["test"], train=corpus["train"], **QUICK)
    names = corpus["train"].features["label"].names
    assert np.array_equal(weights[0], estimate_order_prior(corpus["train"], names, ["member_of"]))
    assert not np.array_equal(weights[0], estimate_order_prior(corpus["train"], names))


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


def test_the_comparison_says_which_one_is_better(corpus, checkpoint, tmp_path, monkeypatch):
    """One model that is always right, one that always says None: whatever the order, the sign is that of the first."""
    shutil.copytree(checkpoint, tmp_path / "other")
    right = iter((True, False, False, True))  # of the one and the other checkpoint, twice

    def answers(model, processor, names, rows, **arguments):
        labels = [row["label"] for row in rows]
        if isinstance(rows, SwappedPairs):
            return np.eye(len(names))[labels]
        return np.eye(len(names))[labels if next(right) else np.zeros(len(labels), dtype=int)]

    replace_probabilities(monkeypatch, answers)
    monkeypatch.setattr("tgdi_hf.evaluation.report.direction_of", lambda *of: {})
    related = sum(label != 0 for label in corpus["test"]["label"])
    for sign in (1, -1):
        report, _ = evaluation_report(checkpoint, corpus["test"], compare=tmp_path / "other", rounds=100)
        found = report["comparison"]
        assert found["f1"]["difference"] == sign and found["f1"]["interval"] == [sign, sign]
        only = ("only_two", "only_one")[::sign]
        assert (found["mcnemar"][only[0]], found["mcnemar"][only[1]]) == (related, 0)
        text = report_as_markdown(report)
        assert f"F1 minus that of {tmp_path / 'other'}: {100 * sign:+.1f} points" in text
        assert f"right where the other is wrong {related if sign == 1 else 0} rows" in text


def test_models_that_know_more_relations_than_the_other_can_be_compared(corpus, checkpoint, processor, tmp_path):
    names = corpus["test"].features["label"].names
    model, _ = tiny_tgdi(corpus)
    config = {**model.config.to_dict(), "id2label": dict(enumerate(["more", *names]))}
    config["label2id"] = {name: i for i, name in config["id2label"].items()}
    for part in (TGDIForRelationExtraction(TGDIConfig.from_dict(config)), processor):
        part.save_pretrained(tmp_path / "more")
    for one, two in ((tmp_path / "more", checkpoint), (checkpoint, tmp_path / "more")):
        report, _ = evaluation_report(one, corpus["test"], compare=two, rounds=10, **QUICK)
        assert report["comparison"]["mcnemar"]["p"] <= 1


def test_another_kind_of_model_is_refused(corpus, checkpoint):
    config = json.loads((checkpoint / "config.json").read_text())
    (checkpoint / "config.json").write_text(json.dumps({**config, "model_type": "mre_baseline"}))
    with pytest.raises(ValueError, match="is a model of type 'mre_baseline'; expected 'tgdi'"):
        evaluate(checkpoint, corpus["test"], **QUICK)


def test_posts_are_grouped_as_the_model_got_to_see_them(corpus, checkpoint):
    rows = corpus["test"]
    report, _ = evaluation_report(checkpoint, rows, rounds=10, **QUICK)
    counts = {name: {group: of["rows"] for group, of in groups.items()} for name, groups in report["groups"].items()}
    captions = sum(bool(caption) for caption in rows["caption"])
    assert counts["caption"] == {"present": captions, "absent": 32 - captions}
    relevant = sum(value is not None and value >= 0.1 for value in rows["relevance"])
    assert counts["relevance"]["from 0.1"] == relevant > 0
    changed = PerturbedDataset(rows, "shuffled-images")
    report, _ = evaluation_report(checkpoint, rows, control=changed, rounds=10, **QUICK)
    assert "from 0.1" not in report["groups"]["relevance"]  # every image is that of another post
    assert report["groups"]["caption"]["present"]["rows"] == captions


def test_controls_are_scored(corpus, checkpoint):
    changed = PerturbedDataset(corpus["test"], "text-only")
    report, answers = evaluation_report(checkpoint, corpus["test"], control=changed, rounds=50, **QUICK)
    assert report["scores"]["f1"]["value"] == evaluate(checkpoint, corpus["test"], control=changed, **QUICK)["eval_f1"]
    assert "present" not in report["groups"]["image"]  # as the model got to see them
    _, unchanged = evaluation_report(checkpoint, corpus["test"], rounds=50, **QUICK)
    assert not np.allclose(answers["probabilities"], unchanged["probabilities"])


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


def test_the_command_counts_the_order_in_the_training_split(corpus, balanced, tmp_path):
    corpus.save_to_disk(tmp_path / "data")
    DatasetDict(test=corpus["test"]).save_to_disk(tmp_path / "bare")
    arguments = ["evaluate", str(balanced), "--split", "test", "--listed-order", "--output", str(tmp_path / "scores")]
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "data")])
    assert result.exit_code == 0, result.output + str(result.exception)
    expected = evaluate(balanced, corpus["test"], train=corpus["train"], **QUICK)
    scores = json.loads((tmp_path / "scores").read_text())
    assert scores.pop("scored")["listed_order"] and scores == pytest.approx(expected)
    result = CliRunner().invoke(app, [*arguments, str(tmp_path / "bare")])
    assert result.exit_code == 2 and "split 'train'" in result.output

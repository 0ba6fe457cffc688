import json

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict
from transformers import set_seed
from typer.testing import CliRunner

from tgdi_hf import evaluate, evaluation_report
from tgdi_hf.cli.main import app
from tgdi_hf.data.dataset_columns import undecoded
from tgdi_hf.data.entity_order import (
    count_inverses,
    estimate_order_prior,
    fold_inverse_probabilities,
    is_tail_first,
    swapped_labels,
)
from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.evaluation.order_prior import mean_of_both_orders, with_order_prior
from tgdi_hf.evaluation.probabilities import SwappedPairs, probabilities_of

from .scored import QUICK, replace_probabilities


def test_the_order_prior_changes_scores_but_not_direction(corpus, balanced, monkeypatch):
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


def test_symmetric_relations_come_from_the_model(corpus, balanced, monkeypatch):
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


def test_the_command_estimates_the_prior_from_the_train_split(corpus, balanced, tmp_path):
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

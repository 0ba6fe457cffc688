import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from transformers import EvalPrediction

from tgdi_hf import MNREMetric, compute_metrics, make_compute_metrics
from tgdi_hf.evaluation.relation_scores import relation_scores

NAMES = ("a", "None", "b", "c")


# Ids by hand: of 8 rows, 4 are right; 5 predictions and 6 rows are not None, 3 of them right.
REFERENCES = [0, 0, 0, 2, 2, 3, 1, 1]


PREDICTIONS = [0, 0, 1, 2, 0, 1, 1, 2]


def test_metric_computes_from_batches_and_can_be_used_again():
    metric, expected = MNREMetric(), relation_scores(PREDICTIONS, REFERENCES)
    metric.add_batch(predictions=PREDICTIONS[:3], references=REFERENCES[:3])
    metric.add_batch(predictions=np.array(PREDICTIONS[3:7]), references=torch.tensor(REFERENCES[3:7]))
    metric.add(prediction=PREDICTIONS[7], reference=REFERENCES[7])
    assert metric.compute() == expected
    assert metric.compute(predictions=PREDICTIONS, references=REFERENCES) == expected


def test_metric_takes_names_and_the_negative_relation():
    scores = MNREMetric().compute(predictions=[0, 1, 1], references=[0, 1, 0], names=["no", "yes"], negative="no")
    assert (scores["precision"], scores["recall"]) == (0.5, 1.0)
    assert scores["per_relation"]["no"]["support"] == 2


def test_metric_refuses_to_score_no_rows():
    with pytest.raises(ValueError, match="Nothing to score: pass `predictions`"):
        MNREMetric().compute()


def test_metric_can_be_used_after_an_error():
    metric = MNREMetric()
    with pytest.raises(ValueError, match="id 99"):
        metric.compute(predictions=[99], references=[0])
    assert metric.compute(predictions=[1], references=[1])["f1"] == 1.0


def test_metric_refuses_probabilities_instead_of_rounding_them():
    with pytest.raises(ValueError, match=r"`predictions` has shape .* float64"):
        MNREMetric().add_batch(predictions=[0.2, 1.9], references=[0, 1])


OFFLINE = """
import builtins, os, socket

def refuse(*args, **kwargs):
    raise AssertionError(f"network: {args}")

socket.socket.connect = socket.getaddrinfo = refuse
from tgdi_hf import MNREMetric

metric = MNREMetric()
metric.add_batch(predictions=[1, 0], references=[1, 1])
print(metric.compute()["f1"])
"""


@pytest.mark.slow  # starts processes
def test_metric_needs_no_network_and_writes_nothing(tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "XDG_"))}
    environment |= {"HOME": str(home), "HF_HOME": str(home / "hf"), "HF_HUB_OFFLINE": "1"}
    out = subprocess.run(
        [sys.executable, "-c", OFFLINE], capture_output=True, text=True, env=environment, cwd=tmp_path, check=False
    )
    assert out.returncode == 0, out.stderr
    assert float(out.stdout) == pytest.approx(2 / 3)
    assert not [path for path in tmp_path.rglob("*") if "metric" in path.name or path.suffix in (".arrow", ".lock")]


def test_metric_can_use_the_cache_of_evaluate(tmp_path):
    metric = MNREMetric(keep_in_memory=False, cache_dir=str(tmp_path))
    metric.add_batch(predictions=[1], references=[1])
    assert list(tmp_path.rglob("*.arrow"))
    assert metric.compute()["f1"] == 1.0


def logits_of(predictions, labels):
    return np.eye(labels, dtype=np.float32)[predictions]


def test_compute_metrics_returns_flat_floats():
    logits = logits_of(PREDICTIONS, 23)
    expected = relation_scores(PREDICTIONS, REFERENCES)
    scores = compute_metrics(EvalPrediction(logits, np.array(REFERENCES)))
    assert scores == {key: expected[key] for key in ("accuracy", "precision", "recall", "f1")}
    assert all(type(value) is float for value in scores.values())
    # Models may hand out more than logits.
    assert compute_metrics(EvalPrediction((logits, np.zeros(3)), np.array(REFERENCES))) == scores


def test_make_compute_metrics_accepts_other_relations_and_adds_their_scores():
    function = make_compute_metrics(NAMES, per_relation=True)
    scores = function(EvalPrediction(logits_of(PREDICTIONS, 4), np.array(REFERENCES)))
    assert scores["f1"] == 6 / 11
    assert scores["recall a"] == 2 / 3
    assert scores["support None"] == 2.0
    assert len(scores) == 4 + 4 * len(NAMES)
    assert all(type(value) is float for value in scores.values())
    assert pickle.loads(pickle.dumps(function)).options == function.options


def test_make_compute_metrics_refuses_wrong_names_before_training():
    with pytest.raises(ValueError, match="No label is called 'None'"):
        make_compute_metrics(["yes", "no"])


@pytest.mark.parametrize("shape", [(2,), (2, 4), (2, 23, 1)])
def test_compute_metrics_refuses_logits_of_another_model(shape):
    with pytest.raises(ValueError, match=r"expected \(rows, 23\).*make_compute_metrics"):
        compute_metrics(EvalPrediction(np.zeros(shape), np.zeros(2, dtype=int)))

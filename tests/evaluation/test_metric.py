import os
import pickle
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from transformers import EvalPrediction

from tgdi_hf import RELATIONS, MNREMetric, compute_metrics, make_compute_metrics
from tgdi_hf.evaluation.relation_scores import multi_label_scores, relation_scores
from tgdi_hf.evaluation.thresholds import best_thresholds
from tgdi_hf.modeling.decision_thresholds import checked_thresholds

NAMES = ("a", "None", "b", "c")
# Ids by hand: of 8 rows, 4 are right; 5 predictions and 6 rows are not None, 3 of them right.
REFERENCES = [0, 0, 0, 2, 2, 3, 1, 1]
PREDICTIONS = [0, 0, 1, 2, 0, 1, 1, 2]


def test_scores_worked_by_hand():
    assert relation_scores(PREDICTIONS, REFERENCES, NAMES) == {
        "accuracy": 4 / 8,
        "precision": 3 / 5,
        "recall": 3 / 6,
        "f1": 6 / 11,
        "per_relation": {
            "a": {"precision": 2 / 3, "recall": 2 / 3, "f1": 2 / 3, "support": 3},
            "None": {"precision": 1 / 3, "recall": 1 / 2, "f1": 2 / 5, "support": 2},
            "b": {"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "support": 2},
            "c": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1},
        },
    }


@given(
    rows=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60),
    negative=st.sampled_from([*NAMES, None]),
)
def test_scores_equal_those_of_scikit_learn(rows, negative):
    predictions, references = zip(*rows)
    scores = relation_scores(predictions, references, NAMES, negative)
    positive = [i for i, name in enumerate(NAMES) if name != negative]
    micro = precision_recall_fscore_support(
        references, predictions, labels=positive, average="micro", zero_division=0.0
    )
    assert [scores[key] for key in ("precision", "recall", "f1")] == pytest.approx(micro[:3])
    assert scores["accuracy"] == pytest.approx(accuracy_score(references, predictions))
    each = precision_recall_fscore_support(references, predictions, labels=range(len(NAMES)), zero_division=0.0)
    for i, name in enumerate(NAMES):
        assert list(scores["per_relation"][name].values()) == pytest.approx([column[i] for column in each])


@pytest.mark.parametrize(
    ("predictions", "references", "expected"),
    [
        ([1, 1], [0, 2], {"accuracy": 0.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}),
        ([0, 2], [1, 1], {"accuracy": 0.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}),
        ([1, 1], [1, 1], {"accuracy": 1.0, "precision": 0.0, "recall": 0.0, "f1": 0.0}),
        ([0, 2], [0, 2], {"accuracy": 1.0, "precision": 1.0, "recall": 1.0, "f1": 1.0}),
    ],
    ids=["only None predicted", "only None there", "only None", "all right"],
)
def test_nothing_to_divide_by_gives_zero(predictions, references, expected):
    scores = relation_scores(predictions, references, NAMES)
    assert {key: scores[key] for key in expected} == expected


def test_the_negative_relation_is_found_by_its_name_alone():
    # A name that others would guess is a relation like any other.
    names = ("Other", "NA", "None")
    assert relation_scores([0, 1, 2], [0, 1, 0], names)["f1"] == pytest.approx(2 * 2 / (2 + 3))
    assert relation_scores([0, 1, 2], [0, 1, 0], names, negative="NA")["f1"] == pytest.approx(2 * 1 / (2 + 2))
    with pytest.raises(ValueError, match=r"No label is called 'None'.*\['NA', 'yes'\].*probably 'NA'.*`negative`"):
        relation_scores([0], [0], ["NA", "yes"])


def test_without_a_negative_relation_all_scores_are_the_accuracy():
    scores = relation_scores(PREDICTIONS, REFERENCES, NAMES, negative=None)
    assert scores["precision"] == scores["recall"] == scores["f1"] == scores["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("predictions", "references", "message"),
    [
        ([], [], "at least one row, found none"),
        ([1, 2], [1], "2 predictions and 1 references"),
        ([0, 4], [0, 0], "`predictions` has id 4 in row 1; expected ids from 0 to 3"),
        ([0, 0, 0], [0, 0, -100], "`references` has id -100 in row 2"),
        ([0.7, 1.0], [0, 1], r"`predictions` has shape \(2,\) and type float64.*argmax"),
        ([[0, 1], [1, 0]], [0, 1], r"`predictions` has shape \(2, 2\)"),
        (["a", "b"], [0, 1], "`predictions` has shape .* type <U1"),
        ([0, None], [0, 1], "type object"),
        (0, 0, r"shape \(\)"),
    ],
)
@pytest.mark.parametrize(
    "score", [relation_scores, lambda p, r, names: MNREMetric().compute(predictions=p, references=r, names=names)]
)
def test_what_cannot_be_scored_is_refused(score, predictions, references, message):
    if message.startswith("2 predictions") and score is not relation_scores:
        message = r"Mismatch in the number of predictions \(2\) and references \(1\)"
    with pytest.raises(ValueError, match=message):
        score(predictions, references, NAMES)


def test_a_name_that_occurs_twice_is_refused():
    with pytest.raises(ValueError, match=r"`names` has \['a'\] more than once"):
        relation_scores([0], [0], ["a", "None", "a"])


def test_small_integer_types_do_not_overflow():
    ids = np.arange(len(RELATIONS), dtype=np.uint8)
    assert relation_scores(ids, ids)["f1"] == 1.0
    assert relation_scores(torch.arange(23, dtype=torch.int8), ids)["per_relation"][RELATIONS[22]]["support"] == 1


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


def test_metric_without_rows_says_so():
    with pytest.raises(ValueError, match="Nothing to score: give `predictions`"):
        MNREMetric().compute()


def test_metric_is_good_for_more_after_an_error():
    metric = MNREMetric()
    with pytest.raises(ValueError, match="id 99"):
        metric.compute(predictions=[99], references=[0])
    assert metric.compute(predictions=[1], references=[1])["f1"] == 1.0


def test_metric_refuses_probabilities_which_evaluate_would_round():
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


def test_compute_metrics_gives_trainer_flat_floats():
    logits = logits_of(PREDICTIONS, 23)
    expected = relation_scores(PREDICTIONS, REFERENCES)
    scores = compute_metrics(EvalPrediction(logits, np.array(REFERENCES)))
    assert scores == {key: expected[key] for key in ("accuracy", "precision", "recall", "f1")}
    assert all(type(value) is float for value in scores.values())
    # Models may hand out more than logits.
    assert compute_metrics(EvalPrediction((logits, np.zeros(3)), np.array(REFERENCES))) == scores


def test_make_compute_metrics_takes_other_relations_and_adds_each():
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


# Sets of relations by hand: 3 predicted of which 2 hold, 4 hold; one row of three is right as a whole.
HELD = [[1, 1, 0], [0, 1, 1], [0, 0, 0]]
SAID = [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_sets_of_relations_worked_by_hand():
    scores = multi_label_scores(SAID, HELD, ("a", "b", "c"))
    assert {name: scores[name] for name in ("accuracy", "precision", "recall", "f1")} == pytest.approx(
        {"accuracy": 1 / 3, "precision": 2 / 3, "recall": 2 / 4, "f1": 4 / 7}
    )
    assert scores["per_relation"]["b"] == {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 2}
    logits = np.where(np.array(SAID) == 1, 1.0, -1.0)
    metrics = make_compute_metrics(("a", "b", "c"), thresholds=[0.5] * 3)(EvalPrediction(logits, np.array(HELD)))
    assert metrics == pytest.approx({name: scores[name] for name in metrics})
    # σ(1) = 0.731: above a threshold of 0.7 and below one of 0.75.
    strict = make_compute_metrics(("a", "b", "c"), thresholds=[0.7, 0.75, 0.7])(EvalPrediction(logits, np.array(HELD)))
    assert strict["recall"] == 1 / 4


@pytest.mark.parametrize(
    ("said", "held", "message"),
    [
        ([[1, 0]], [[1, 0, 0]], r"shape \(1, 2\) and the references \(1, 3\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "at least one row"),
        ([[1, 0, 0]], [[1, 0, 2]], "value 2; expected 0 and 1"),
        ([1, 0, 0], [1, 0, 0], "one column per name"),
    ],
)
def test_what_is_no_set_of_relations_is_refused(said, held, message):
    with pytest.raises(ValueError, match=message):
        multi_label_scores(said, held, ("a", "b", "c"))


def test_thresholds_are_those_of_the_best_f1():
    probabilities = np.array([[0.9, 0.2, 0.4], [0.8, 0.2, 0.3], [0.3, 0.1, 0.2], [0.1, 0.6, 0.1]])
    held = np.array([[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]])
    # a: taking 3 finds both of 2: F1 4/5, above 2/3 for one. b: 0.2 twice, F1 4/5. c: no row.
    assert best_thresholds(probabilities, held) == pytest.approx([0.2, 0.15, 0.5])
    chosen = multi_label_scores(probabilities >= best_thresholds(probabilities, held), held, ("a", "b", "c"))
    assert chosen["f1"] >= multi_label_scores(probabilities >= 0.5, held, ("a", "b", "c"))["f1"]


@pytest.mark.parametrize(
    ("scores", "held", "expected"),
    [
        # All are taken, also the one at 0: no threshold above 0 takes that.
        ([0.0, 0.6], [1, 1], 0.3),
        ([0.0, 0.0], [1, 0], 0.5),
        ([1.0, 1.0], [1, 1], 0.5),
        ([5e-324, 0.0], [1, 0], 5e-324),
        # 1 and the number below it can't be told apart, as 1 is no threshold.
        ([1.0, float(np.nextafter(1, 0))], [1, 0], float(np.nextafter(1, 0)) / 2),
    ],
)
def test_thresholds_lie_strictly_between_0_and_1(scores, held, expected):
    (threshold,) = best_thresholds([[score] for score in scores], [[one] for one in held])
    assert 0 < threshold < 1 and threshold == pytest.approx(expected)
    assert checked_thresholds([threshold], 1, True) == [threshold]


@pytest.mark.parametrize(
    ("probabilities", "references", "message"),
    [
        ([[1.5, 0.2]], [[1, 0]], "has 1.5 in row 0, column 0; .* Convert logits to probabilities with the sigmoid"),
        ([[0.5, -0.2]], [[1, 0]], "has -0.2 in row 0, column 1"),
        ([[0.5, float("nan")]], [[1, 0]], "has nan in row 0, column 1"),
        ([[0.5, 0.2], [0.1, 0.1]], [[1], [0]], r"shape \(2, 2\) and `references` \(2, 1\)"),
        ([[0.5]] * 3, [[1]] * 2, r"shape \(3, 1\) and `references` \(2, 1\)"),
        ([0.5, 0.2], [1, 0], r"expected \(rows, L\)"),
        ([[0.5, 0.2], [0.1]], [[1, 0], [1, 0]], "`probabilities` is not an array of numbers"),
        ([[0.5, 0.2]], [[1, -100]], "`references` has -100.0 in row 0, column 1"),
        ([["a", "b"]], [[1, 0]], "`probabilities` is not an array of numbers"),
    ],
)
def test_thresholds_need_probabilities_and_flags(probabilities, references, message):
    with pytest.raises(ValueError, match=message):
        best_thresholds(probabilities, references)

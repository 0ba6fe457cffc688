import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from transformers import EvalPrediction

from tgdi_hf import RELATIONS, MNREMetric, make_compute_metrics
from tgdi_hf.evaluation.relation_scores import multi_label_scores, relation_scores

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
def test_a_score_without_denominator_is_zero(predictions, references, expected):
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
def test_anything_but_valid_ids_is_refused(score, predictions, references, message):
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


# Sets of relations by hand: 3 predicted of which 2 hold, 4 hold; one row of three is right as a whole.
TRUE = [[1, 1, 0], [0, 1, 1], [0, 0, 0]]


PREDICTED = [[1, 1, 0], [0, 0, 0], [0, 0, 1]]


def test_sets_of_relations_worked_by_hand():
    scores = multi_label_scores(PREDICTED, TRUE, ("a", "b", "c"))
    assert {name: scores[name] for name in ("accuracy", "precision", "recall", "f1")} == pytest.approx(
        {"accuracy": 1 / 3, "precision": 2 / 3, "recall": 2 / 4, "f1": 4 / 7}
    )
    assert scores["per_relation"]["b"] == {"precision": 1.0, "recall": 0.5, "f1": 2 / 3, "support": 2}
    logits = np.where(np.array(PREDICTED) == 1, 1.0, -1.0)
    metrics = make_compute_metrics(("a", "b", "c"), thresholds=[0.5] * 3)(EvalPrediction(logits, np.array(TRUE)))
    assert metrics == pytest.approx({name: scores[name] for name in metrics})
    # σ(1) = 0.731: above a threshold of 0.7 and below one of 0.75.
    strict = make_compute_metrics(("a", "b", "c"), thresholds=[0.7, 0.75, 0.7])(EvalPrediction(logits, np.array(TRUE)))
    assert strict["recall"] == 1 / 4


@pytest.mark.parametrize(
    ("predicted", "true", "message"),
    [
        ([[1, 0]], [[1, 0, 0]], r"shape \(1, 2\) and the references \(1, 3\)"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "at least one row"),
        ([[1, 0, 0]], [[1, 0, 2]], "value 2; expected 0 and 1"),
        ([1, 0, 0], [1, 0, 0], "one column per name"),
    ],
)
def test_anything_but_sets_of_relations_is_refused(predicted, true, message):
    with pytest.raises(ValueError, match=message):
        multi_label_scores(predicted, true, ("a", "b", "c"))

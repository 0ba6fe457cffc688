import numpy as np
import pytest

from tgdi_hf.evaluation.report_scores import report_of
from tgdi_hf.evaluation.report_tables import report_as_markdown

NAMES = ["None", "/per/per/peer", "/per/org/member_of", "/loc/loc/contain"]


def one_hot(ids):
    return np.eye(len(NAMES))[ids] * 0.8 + 0.05


def test_a_report_worked_by_hand():
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

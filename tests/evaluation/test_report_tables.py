import numpy as np

from tgdi_hf.evaluation.report_scores import report_of
from tgdi_hf.evaluation.report_tables import comparison_text, report_as_markdown

COMPARISON = {
    "with": "runs/other",
    "f1": {"difference": -0.0123, "interval": [-0.02, 0.001], "p": 0.05},
    "mcnemar": {"only_one": 4, "only_two": 7, "p": 0.5},
}


def report():
    labels, predictions = np.array([0, 1, 1, 0]), np.array([0, 1, 0, 1])
    return report_of(np.eye(2)[predictions], labels, ["None", "/per/per/peer"], rounds=20)


def test_conditions_direction_and_comparison_are_sentences():
    scored = {
        "data": "mnre", "split": "test", "objects": "published", "control": "text-only", "changed": 2,
        "listed_order": True,
    }  # fmt: skip
    unknown = {"unrelated_given": 0.1, "precision": 0.2, "recall": 0.3, "f1": 0.4}
    direction = {"rows": 2, "listed": 0.25, "swapped": 0.5, "order_unknown": unknown}
    more = {"checkpoint": "runs/a", "scored": scored, "direction": direction, "comparison": COMPARISON}
    text = report_as_markdown({**report(), **more})
    assert text.startswith("runs/a on mnre, split test, **with published object crops")
    assert "**under the control text-only, which changed 2 of 4 rows**" in text
    assert "25.0 % as listed, 50.0 % with head and tail swapped" in text
    assert "precision 20.0, recall 30.0, F1 40.0, and 10.0 %" in text
    assert comparison_text(COMPARISON) in text


def test_a_report_without_conditions_begins_with_its_table():
    lines = report_as_markdown(report()).splitlines()
    assert lines[0] == "| | rows | accuracy | precision | recall | F1 |"
    assert lines[2].startswith("| all | 4 | 50.0 (")
    assert "| `/per/per/peer` | 2 | 50.0 | 50.0 | 50.0 |" in lines


def test_a_comparison_is_the_first_model_minus_the_other():
    text = comparison_text(COMPARISON)
    assert text.startswith("F1 minus that of runs/other: -1.2 points (-2.0 to +0.1)")
    assert "rows that only this model classifies correctly 7, only the other 4" in text

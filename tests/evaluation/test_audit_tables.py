from tgdi_hf.evaluation.audit_tables import audit_as_markdown

GAIN = {"value": 0.1, "low": 0.05, "high": 0.15}
AREA = {"value": 0.8, "low": 0.75, "high": 0.85}


def test_an_audit_as_markdown():
    one = {"feature": "number of objects", "accuracy": 0.7, "gain": GAIN}
    found = {
        "split": "train",
        "rows": 1234,
        "targets": {
            "relation or None": {
                "majority": 0.6, "accuracy": 0.7, "gain": GAIN, "area": AREA, "features": [{**one, "area": AREA}] * 2,
            },
            "which relation": {"majority": 0.6, "accuracy": 0.7, "gain": GAIN, "features": [one]},
        },
        "noteworthy": ["number of objects"],
        "shared": {"test": {"rows": 1000, "texts": 1, "images": 2, "pairs": 3}},
    }  # fmt: skip
    lines = audit_as_markdown(found, most=1).splitlines()
    assert lines[0] == "1,234 rows of train; guessed without a word of text or a pixel, in percent."
    assert lines[2:8] == [
        "**relation or None**",
        "",
        "| guessed from | accuracy | gain over the commonest answer | area under ROC |",
        "|---|---|---|---|",
        "| the commonest answer | 60.0 | | |",
        "| **all of it** | 70.0 | +10.0 (+5.0 to +15.0) | 80.0 (75.0 to 85.0) |",
    ]
    assert lines[8].startswith("| number of objects | 70.0 |") and lines[9] == ""
    assert "| number of objects | 70.0 | +10.0 (+5.0 to +15.0) |" in lines
    assert "| test | 1 | 2 | 3 | 1,000 |" in lines
    assert lines[-1].endswith("beyond doubt: number of objects.")

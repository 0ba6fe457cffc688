from tgdi_hf.preparation.faults import Fault, read_faults, write_faults


def test_a_report_lists_faults_by_split_row_and_kind(tmp_path):
    faults = [
        Fault("train", 10, None, "image", "größer als erlaubt", kept=True),
        Fault("train", 2, "b", "text", "no text", kept=False),
        Fault("train", 2, "b", "image", "no such file", kept=True),
        Fault("test", 11, "a", "id", "twice", kept=False),
    ]
    write_faults(tmp_path / "report.jsonl", faults)
    assert read_faults(tmp_path / "report.jsonl") == [faults[3], faults[2], faults[1], faults[0]]
    lines = (tmp_path / "report.jsonl").read_text(encoding="utf-8").splitlines()
    assert lines[3] == (
        '{"split": "train", "row": 10, "id": null, "kind": "image", "reason": "größer als erlaubt", "kept": true}'
    )

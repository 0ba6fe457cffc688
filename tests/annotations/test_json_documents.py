import gzip
import json

import pytest

from tgdi_hf.annotations.document import Report
from tgdi_hf.annotations.json_documents import json_documents


@pytest.mark.parametrize(
    "content",
    [
        '[{"annotations": [{"a": 1}]}]',
        '{"annotations": [{"a": 1}]}',
        '{"annotations": [{"a": 1}]}\n',
        '{\n"annotations": [\n{"a": 1}]\n}',
    ],
)
@pytest.mark.parametrize("name", ["export.json", "export.jsonl.gz"])
def test_arrays_lines_and_single_objects(tmp_path, content, name):
    data = content.encode()
    (tmp_path / name).write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    report = Report()
    for path in (tmp_path / name, tmp_path):
        (found,) = json_documents(path, report)
        assert found.value == {"annotations": [{"a": 1}]} and found.file == tmp_path / name and name in found.where
    assert not report.problems


def test_a_line_that_is_not_json_is_reported(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(json.dumps({"a": 1}).encode() + b'\n{"a": \xff}\n{"a": 2}\n')
    report = Report()
    assert [found.value["a"] for found in json_documents(tmp_path / "a.jsonl", report)] == [1, 2]
    assert report.problems[0].where == "a.jsonl, line 2" and "expected JSON, found" in report.problems[0].reason


def test_missing_files(tmp_path):
    with pytest.raises(ValueError, match="nothing: no such file or folder"):
        list(json_documents(tmp_path / "nothing", Report()))
    with pytest.raises(ValueError, match="has no JSON files; expected names that end in"):
        list(json_documents(tmp_path, Report()))

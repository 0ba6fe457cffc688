import io
import json
import sys

import pytest

from tgdi_hf.inference.prediction_printing import is_utf8, print_predictions

POST = {"text": "Änn meets Bob", "head": [0, 3], "tail": [10, 13]}


@pytest.fixture
def posts(tmp_path):
    rows = [{**POST, "id": 0}, {**POST, "id": 1, "tail": [9, 999]}, {**POST, "id": 2}]
    (tmp_path / "posts.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    return tmp_path / "posts.jsonl"


def test_predictions_are_printed_and_errors_go_to_the_standard_error(pipe, posts, capsys):
    done = print_predictions(pipe, posts, strict=False, evidence=True)
    assert done == (3, 1, None)
    printed = capsys.readouterr()
    good = [json.loads(line) for line in printed.out.splitlines()]
    assert [row["row"] for row in good] == [0, 2]
    assert "similarity" not in good[0]["evidence"]
    bad = [json.loads(line) for line in printed.err.splitlines() if "error" in line]
    assert [(row["row"], row["field"]) for row in bad] == [(1, "tail")]


def test_a_strict_run_stops_at_the_first_error(pipe, posts):
    with pytest.raises(ValueError, match="line 2: the span of `tail`"):
        print_predictions(pipe, posts, strict=True)


@pytest.mark.parametrize(("encoding", "expected"), [("utf-8", '"Änn"'), ("latin-1", '"\\u00c4nn"')])
def test_other_encodings_than_utf8_get_escaped_json(pipe, posts, encoding, expected, monkeypatch):
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", stream)
    print_predictions(pipe, posts, strict=False)
    stream.flush()
    assert expected.encode(encoding) in stream.buffer.getvalue()


def test_a_stream_without_an_encoding_keeps_text():
    assert is_utf8(io.StringIO())
    assert is_utf8(io.TextIOWrapper(io.BytesIO(), encoding="UTF8"))
    assert not is_utf8(io.TextIOWrapper(io.BytesIO(), encoding="ascii"))

import json
import os
from pathlib import Path

import pytest

from tgdi_hf.inference.journal import Journal, Progress, input_identity


def test_a_run_continues_from_the_last_saved_progress(tmp_path):
    journal = Journal(tmp_path / "out.jsonl", {"batch_size": 4, "posts": "a"})
    assert journal.begin(resume=False) == journal.begin(resume=True) == Progress()
    progress = Progress(rows=8, bad=1, output=100, errors=20)
    journal.save(Progress(rows=4))
    journal.save(progress)
    assert Journal(tmp_path / "out.jsonl", {"posts": "a", "batch_size": 4}).begin(resume=True) == progress
    assert json.loads((tmp_path / "out.jsonl.journal").read_text()) == {
        "identity": {"batch_size": 4, "posts": "a"},
        **{"rows": 8, "bad": 1, "output": 100, "errors": 20, "finishing": 0},
    }
    assert [path.name for path in tmp_path.iterdir()] == ["out.jsonl.journal"]
    journal.end()
    assert not list(tmp_path.iterdir())


def test_a_complete_file_has_nothing_to_resume(tmp_path):
    journal = Journal(tmp_path / "out.jsonl", {})
    (tmp_path / "out.jsonl").touch()
    assert journal.begin(resume=True) is None
    assert journal.begin(resume=False) == Progress()


def test_an_unfinished_run_is_resumed_only_on_request_and_with_an_equal_identity(tmp_path):
    output = tmp_path / "out.jsonl"
    Journal(output, {"checkpoint": "a", "batch_size": 4}).save(Progress(rows=2000))
    with pytest.raises(ValueError, match=r"out.jsonl is unfinished: 2,000 rows are written. Continue with --resume"):
        Journal(output, {"checkpoint": "a", "batch_size": 4}).begin(resume=False)
    with pytest.raises(ValueError, match=r"resume .*out.jsonl: batch_size was 4, is 8; top_k was None, is 2\. Use"):
        Journal(output, {"checkpoint": "a", "batch_size": 8, "top_k": 2}).begin(resume=True)
    (tmp_path / "out.jsonl.journal").write_text("{")
    with pytest.raises(ValueError, match=r"out.jsonl.journal is damaged .*Delete it"):
        Journal(output, {}).begin(resume=True)


def test_input_is_identified_by_size_and_modification_time(tmp_path):
    folder = tmp_path / "posts"
    folder.mkdir()
    (folder / "a.jsonl").write_text("{}")
    (folder / "b.jsonl").write_text("{}\n")
    os.utime(folder / "a.jsonl", ns=(0, 5 * 10**9))
    os.utime(folder / "b.jsonl", ns=(0, 7 * 10**9))
    (folder / "out.jsonl").write_text("an output in the folder of the posts")
    (folder / "out.jsonl.journal").write_text("")
    outputs = [folder / "out.jsonl"]
    expected = {"posts": str(folder.resolve()), "size": 5, "changed": 7 * 10**9}
    assert input_identity(folder, outputs) == expected
    assert input_identity(folder / "a.jsonl", outputs) == {
        "posts": str((folder / "a.jsonl").resolve()), "size": 2, "changed": 5 * 10**9,
    }  # fmt: skip
    assert input_identity(Path("-"), outputs) == {"posts": "-", "size": None, "changed": None}
    with pytest.raises(ValueError, match="other.jsonl: no such file or folder"):
        input_identity(tmp_path / "other.jsonl", outputs)

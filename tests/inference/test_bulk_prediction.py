import json
import os
import subprocess
import sys
from itertools import islice

import pyarrow.parquet as parquet
import pytest

from tgdi_hf.inference import bulk_prediction
from tgdi_hf.inference.bulk_prediction import predict_file
from tgdi_hf.preparation.checkpoint_identity import resolve_checkpoint

POST = {"text": "Ann meets Bob", "head": [0, 3], "tail": [10, 13]}


@pytest.fixture
def posts(tmp_path):
    """Forty posts, seven of them with errors, and one with three entities."""
    rows = [
        {**POST, "id": i, "text": f"Ann meets Bob {i} times", **({"tail": [9, 999]} if i % 7 == 3 else {})}
        for i in range(40)
    ]
    rows[5] = {"id": 5, "text": "Ann meets Bob and Eve", "entities": ["Ann", "Bob", "Eve"]}
    lines = [json.dumps(row) for row in rows]
    lines[20] = "{"
    (tmp_path / "posts.jsonl").write_text("\n".join(lines))
    return tmp_path / "posts.jsonl"


def lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_good_and_bad_rows_go_to_two_files(pipe, posts, tmp_path):
    done = predict_file(pipe, posts, tmp_path / "out.jsonl", batch_size=4, top_k=2)
    good, bad = lines(tmp_path / "out.jsonl"), lines(tmp_path / "out.jsonl.errors.jsonl")
    assert done == (40, 7, tmp_path / "out.jsonl.errors.jsonl")
    assert sorted(row["row"] for row in good + bad) == list(range(40))
    assert [row["row"] for row in bad] == [3, 10, 17, 20, 24, 31, 38]
    assert {(row["field"], row.get("id")) for row in bad} == {("tail", i) for i in (3, 10, 17, 24, 31, 38)} | {
        ("post", None)
    }
    assert "line 21: expected a JSON object" in bad[3]["error"]
    expected = pipe({**POST, "text": "Ann meets Bob 8 times"}, top_k=2)
    found = next(row for row in good if row["row"] == 8)
    assert found["score"] == pytest.approx(expected["score"], abs=1e-5)
    assert found["head"] == expected["head"] and len(found["relations"]) == 2
    assert len(next(row for row in good if row["row"] == 5)["pairs"]) == 3
    assert {path.name for path in tmp_path.iterdir()} == {"posts.jsonl", "out.jsonl", "out.jsonl.errors.jsonl"}


def test_tables_have_columns_and_json_cells(pipe, posts, tmp_path):
    predict_file(pipe, posts, tmp_path / "out.parquet", evidence=True)
    predict_file(pipe, posts, tmp_path / "out.csv")
    rows = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert rows[0]["head"] == "Ann" and rows[0]["tail"] == "Bob"
    assert "text_only" in json.loads(rows[0]["evidence"]) and "similarity" not in json.loads(rows[0]["evidence"])
    assert len(json.loads(rows[4]["pairs"])) == 3 and rows[4]["relation"] is None
    assert (tmp_path / "out.csv").read_text().splitlines()[0].startswith("row,id,head,relation,tail,score,gate")
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 34


def test_rows_of_any_length_keep_the_order_of_the_file(pipe, tmp_path):
    posts = [{**POST, "id": i, "text": "Ann meets Bob" + " very" * (7 * i % 11)} for i in range(40)]
    (tmp_path / "posts.jsonl").write_text("\n".join(map(json.dumps, posts)))
    alone = [pipe(post) for post in posts]
    for window in (None, 1, 8):
        predict_file(pipe, tmp_path / "posts.jsonl", tmp_path / "out.jsonl", batch_size=4, window=window)
        rows = lines(tmp_path / "out.jsonl")
        assert [row["row"] for row in rows] == [row["id"] for row in rows] == list(range(40))
        assert [row["relation"] for row in rows] == [one["relation"] for one in alone]
        assert [row["score"] for row in rows] == pytest.approx([one["score"] for one in alone], abs=1e-5)


class Killed(RuntimeError):
    """Stands for a kill."""


def interrupted(pipe, results):
    """A pipeline that is killed after so many results."""

    def stops(*arguments, **options):
        yield from islice(pipe(*arguments, **options), results)
        raise Killed

    return stops


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "parquet"])
def test_a_resumed_run_writes_the_same_file(pipe, posts, tmp_path, suffix):
    options = {"batch_size": 3, "window": 6, "rows_between_saves": 5}
    predict_file(pipe, posts, tmp_path / f"whole.{suffix}", tmp_path / "whole.errors.jsonl", **options)
    output = tmp_path / f"out.{suffix}"
    for results in (4, 13, 14):  # of the 40, 34 and 22 posts that remain
        with pytest.raises(Killed):
            predict_file(interrupted(pipe, results), posts, output, resume=True, **options)
    assert not output.exists()
    done = predict_file(pipe, posts, output, resume=True, **options)
    assert (done.rows, done.bad) == (40, 7)
    assert output.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()
    errors = output.with_name(f"{output.name}.errors.jsonl")
    assert errors.read_bytes() == (tmp_path / "whole.errors.jsonl").read_bytes()
    # A further run finds nothing to resume.
    assert predict_file(pipe, posts, output, resume=True, **options) is None
    assert not [*tmp_path.glob("*.part"), *tmp_path.glob("*.journal")]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
@pytest.mark.parametrize("moment", ["finish", "end", "discard"])
def test_a_kill_while_finishing_loses_nothing(pipe, posts, tmp_path, suffix, moment, monkeypatch):
    predict_file(pipe, posts, tmp_path / f"whole.{suffix}")
    output = tmp_path / f"out.{suffix}"
    owner = bulk_prediction.Journal if moment == "end" else bulk_prediction.RowWriter

    def kill(self):
        if moment == "end" or self.path == output:
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(owner, moment, kill)
        with pytest.raises(Killed):
            predict_file(pipe, posts, output)
    predict_file(pipe, posts, output, resume=True)
    assert output.read_bytes() == (tmp_path / f"whole.{suffix}").read_bytes()


def test_an_unfinished_run_is_neither_overwritten_nor_resumed_with_other_options(pipe, posts, tmp_path):
    output = tmp_path / "out.jsonl"
    with pytest.raises(Killed):
        predict_file(interrupted(pipe, 20), posts, output, batch_size=4, window=4, rows_between_saves=4)
    with pytest.raises(ValueError, match=r"out.jsonl is unfinished: 20 rows are written. Continue with --resume"):
        predict_file(pipe, posts, output, batch_size=4)
    differences = r"Cannot resume .*out.jsonl: batch_size was 4, is 5; top_k was None, is 2; window was 4, is None"
    with pytest.raises(ValueError, match=differences):
        predict_file(pipe, posts, output, resume=True, batch_size=5, top_k=2)
    with pytest.raises(ValueError, match="`identity` uses reserved names: posts"):
        predict_file(pipe, posts, tmp_path / "b.jsonl", identity={"posts": 1})
    posts.write_text(posts.read_text() + "\n")
    with pytest.raises(ValueError, match="size was"):
        predict_file(pipe, posts, output, resume=True, batch_size=4)


def test_a_run_is_not_resumed_with_other_posts(pipe, posts, tmp_path):
    output = tmp_path / "out.jsonl"
    options = {"batch_size": 4, "window": 4, "rows_between_saves": 4}
    with pytest.raises(Killed):
        predict_file(interrupted(pipe, 20), posts, output, **options)
    times = posts.stat()
    os.utime(posts, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))  # the same size, but a new file
    with pytest.raises(ValueError, match="Cannot resume .*out.jsonl: changed was"):
        predict_file(pipe, posts, output, resume=True, **options)
    os.utime(posts, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert predict_file(pipe, posts, output, resume=True, **options).rows == 40


def test_a_run_is_resumed_with_equal_weights_only(pipe, checkpoint, posts):
    def identity():
        return {"weights": resolve_checkpoint(checkpoint).identity}

    output = checkpoint / "out.jsonl"  # files of the run in the folder of the checkpoint don't change its identity
    options = {"batch_size": 4, "window": 4, "rows_between_saves": 4}
    with pytest.raises(Killed):
        predict_file(interrupted(pipe, 20), posts, output, identity=identity(), **options)
    weights = checkpoint / "model.safetensors"
    content = weights.read_bytes()
    times = weights.stat()
    weights.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    os.utime(weights, ns=(times.st_atime_ns, times.st_mtime_ns))  # other weights of the same age
    with pytest.raises(ValueError, match="Cannot resume .*out.jsonl: weights was 'sha256:"):
        predict_file(pipe, posts, output, resume=True, identity=identity(), **options)
    weights.write_bytes(content)  # the same weights, copied anew
    assert predict_file(pipe, posts, output, resume=True, identity=identity(), **options).rows == 40


def test_a_strict_run_stops_and_leaves_no_files(pipe, posts, tmp_path):
    with pytest.raises(ValueError, match="posts.jsonl, line 4: the span of `tail`"):
        predict_file(pipe, posts, tmp_path / "out.jsonl", strict=True)
    assert [path.name for path in tmp_path.iterdir()] == ["posts.jsonl"]


def test_a_strict_run_does_not_discard_an_unfinished_one(pipe, posts, tmp_path):
    output = tmp_path / "out.jsonl"
    with pytest.raises(Killed):
        predict_file(interrupted(pipe, 20), posts, output, batch_size=4, window=4, rows_between_saves=4)
    with pytest.raises(ValueError, match="strict was False, is True"):
        predict_file(pipe, posts, output, batch_size=4, window=4, resume=True, strict=True)
    assert predict_file(pipe, posts, output, batch_size=4, window=4, resume=True).rows == 40


def test_invalid_options_leave_no_unfinished_run(pipe, posts, tmp_path):
    for mistake in ({"pairs": "bogus"}, {"top_k": 0}):
        with pytest.raises(ValueError, match="bogus|top_k"):
            predict_file(pipe, posts, tmp_path / "out.jsonl", **mistake)
    with pytest.raises(ValueError, match="ends in .jsonl"):
        predict_file(pipe, posts, tmp_path / "out.txt")
    assert predict_file(pipe, posts, tmp_path / "out.jsonl").rows == 40


def test_two_processes_do_not_write_the_same_file(pipe, posts, tmp_path):
    lock = str(tmp_path / "out.jsonl.lock")
    code = f"import filelock, time; l = filelock.FileLock({lock!r}); l.acquire(); print(1, flush=True); time.sleep(60)"
    other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    other.stdout.readline()
    try:
        with pytest.raises(ValueError, match="Another process is writing"):
            predict_file(pipe, posts, tmp_path / "out.jsonl")
    finally:
        other.kill()
        other.wait()
    assert predict_file(pipe, posts, tmp_path / "out.jsonl").rows == 40


def test_a_run_that_was_killed_before_its_first_save_can_be_resumed(pipe, posts, tmp_path):
    (tmp_path / "out.jsonl").write_text("an older file\n")
    with pytest.raises(Killed):
        predict_file(interrupted(pipe, 3), posts, tmp_path / "out.jsonl")
    assert predict_file(pipe, posts, tmp_path / "out.jsonl", resume=True).rows == 40
    assert len(lines(tmp_path / "out.jsonl")) == 33


def test_lost_parts_of_an_unfinished_run_are_reported(pipe, posts, tmp_path):
    options = {"batch_size": 4, "window": 4, "rows_between_saves": 4}
    for name, lose in (
        ("out.parquet", lambda: (tmp_path / "out.parquet.part" / "00000001.parquet").unlink()),
        ("out.jsonl", lambda: (tmp_path / "out.jsonl.part").unlink()),
    ):
        (tmp_path / "out.jsonl").write_text("an older file of that name\n")
        with pytest.raises(Killed):
            predict_file(interrupted(pipe, 20), posts, tmp_path / name, **options)
        lose()
        with pytest.raises(ValueError, match="Cannot resume: "):
            predict_file(pipe, posts, tmp_path / name, resume=True, **options)
    assert (tmp_path / "out.jsonl").read_text() == "an older file of that name\n"
    with pytest.raises(ValueError, match="errors was"):
        predict_file(pipe, posts, tmp_path / "out.jsonl", tmp_path / "e.jsonl", resume=True, **options)
    (tmp_path / "out.jsonl.journal").write_text("")
    with pytest.raises(ValueError, match=r"out.jsonl.journal is damaged .*Delete it"):
        predict_file(pipe, posts, tmp_path / "out.jsonl", resume=True, **options)


def test_errors_of_an_earlier_run_are_replaced(pipe, tmp_path):
    posts, output = tmp_path / "posts.jsonl", tmp_path / "out.jsonl"
    for rows, bad in (([POST, {}], 1), ([POST, POST], 0)):
        posts.write_text("\n".join(json.dumps(row) for row in rows))
        assert predict_file(pipe, posts, output).bad == bad
        assert len(lines(tmp_path / "out.jsonl.errors.jsonl")) == bad
    with pytest.raises(ValueError, match="cannot take both the relations and the errors"):
        predict_file(pipe, posts, output, output)


def test_a_folder_of_posts_is_identified_by_its_files(corpus, pipe, tmp_path):
    rows = corpus["test"].remove_columns("label")
    rows.save_to_disk(tmp_path / "posts")
    output = tmp_path / "posts" / "out.jsonl"  # in the same folder
    with pytest.raises(Killed):
        predict_file(interrupted(pipe, 20), tmp_path / "posts", output, batch_size=4, window=4, rows_between_saves=4)
    assert predict_file(pipe, tmp_path / "posts", output, batch_size=4, window=4, resume=True).rows == 32
    with pytest.raises(Killed):
        predict_file(
            interrupted(pipe, 20), tmp_path / "posts", tmp_path / "b.jsonl", batch_size=4, rows_between_saves=4
        )
    rows.select(range(31)).save_to_disk(tmp_path / "new")
    for file in (tmp_path / "new").iterdir():
        file.replace(tmp_path / "posts" / file.name)
    with pytest.raises(ValueError, match="size was"):
        predict_file(pipe, tmp_path / "posts", tmp_path / "b.jsonl", batch_size=4, window=4, resume=True)


def test_the_posts_are_not_overwritten(pipe, posts):
    with pytest.raises(ValueError, match="is the file of posts"):
        predict_file(pipe, posts, posts)
    with pytest.raises(ValueError, match="no such file"):
        predict_file(pipe, posts.with_name("other.jsonl"), posts)

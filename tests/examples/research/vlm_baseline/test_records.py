import json

import numpy as np
import pytest

from examples.research.vlm_baseline.records import open_records, probabilities_of_records, write_record
from tgdi_hf.file_locks import OutputInUse

SETTINGS = {"model": "m", "shots": 2, "splits": ("validation", "train")}
ROWS = [{"row": place, "scores": {"None": -1.0, "a": -2.0}} for place in range(3)]


@pytest.fixture
def file(tmp_path):
    return tmp_path / "new" / "predictions.jsonl"


def write(file, rows):
    with open_records(file, SETTINGS) as (finished, lines):
        for row in rows:
            write_record(lines, row)
        return finished


def test_a_run_continues_where_it_was_interrupted(file):
    assert write(file, ROWS[:2]) == []
    with file.open("a") as lines:
        lines.write('{"row": 2, "sco')  # killed while writing
    assert write(file, ROWS[2:]) == ROWS[:2]
    assert write(file, []) == ROWS
    assert [json.loads(line) for line in file.read_text().splitlines()][1:] == ROWS


def test_a_run_killed_before_its_first_row(file):
    file.parent.mkdir()
    file.write_text('{"settings": {"mod')
    assert write(file, ROWS) == []
    assert write(file, []) == ROWS


@pytest.mark.parametrize("changed", [{**SETTINGS, "shots": 3}, {"model": "m"}, {**SETTINGS, "more": 1}])
def test_other_settings_are_refused(file, changed):
    write(file, ROWS)
    name = next(name for name in {**changed, **SETTINGS} if changed.get(name) != SETTINGS.get(name))
    with pytest.raises(ValueError, match=f"run with other settings: `{name}` is"), open_records(file, changed):
        raise AssertionError
    assert write(file, []) == ROWS  # nothing was changed


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["nonsense"], "predictions.jsonl, line 1 is not JSON"),
        (["[]"], r"line 1: expected a JSON object, found \[\]"),
        (['{"row": 0}'], "line 1: expected the settings of a run"),
        ([json.dumps({"settings": SETTINGS}), "{"], "line 2 is not JSON"),
        ([json.dumps({"settings": SETTINGS}), json.dumps(ROWS[1])], "line 2: expected the scores of row 0, found"),
        ([json.dumps({"settings": SETTINGS}), json.dumps(ROWS[0]), json.dumps(ROWS[0])], "line 3: expected .* row 1"),
        ([json.dumps({"settings": SETTINGS}), '{"row": 0}'], "line 2: expected the scores of row 0"),
        ([json.dumps({"settings": SETTINGS}), '{"row": 0, "scores": {}}'], "line 2: expected the scores of row 0"),
        ([json.dumps({"settings": SETTINGS}), '{"row": 0, "scores": {"a": NaN}}'], "line 2: expected the scores"),
        ([json.dumps({"settings": SETTINGS}), '{"row": 0, "scores": {"a": "1"}}'], "line 2: expected the scores"),
    ],
)
def test_files_that_are_not_of_a_run(file, lines, message):
    file.parent.mkdir()
    file.write_text("\n".join(lines) + "\n")
    before = file.read_bytes()
    with pytest.raises(ValueError, match=message), open_records(file, SETTINGS):
        raise AssertionError
    assert file.read_bytes() == before


def test_one_process_writes(file):
    with open_records(file, SETTINGS), pytest.raises(OutputInUse, match="Another process is writing"):
        write(file, [])


def test_probabilities_are_the_softmax_over_the_scored_relations():
    records = [{"scores": {"a": np.log(1), "b": np.log(3)}}, {"scores": {"None": -1000.0, "b": -1000.0}}]
    np.testing.assert_allclose(probabilities_of_records(records, ["None", "a", "b"]), [[0, 0.25, 0.75], [0.5, 0, 0.5]])

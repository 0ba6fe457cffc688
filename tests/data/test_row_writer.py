import csv
import json
from pathlib import Path

import pyarrow.parquet as parquet
import pytest

from tgdi_hf.data.row_writer import RowWriter, check_output

COLUMNS = {"id": str, "score": float, "parts": str}
ROWS = [{"id": i, "score": i / 2, "parts": [{"é": i}], "other": 1} for i in range(6)]


def read_back(path):
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text().splitlines()]
    if path.suffix == ".csv":
        return list(csv.DictReader(path.open(newline="")))
    return parquet.read_table(path).to_pylist()


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_rows_after_the_position_are_overwritten(tmp_path, suffix):
    whole, cut = tmp_path / f"whole{suffix}", tmp_path / f"cut{suffix}"
    writer = RowWriter(whole, COLUMNS)
    for start in (0, 2, 4):
        writer.write(ROWS[start : start + 2])
    writer.finish()
    position = RowWriter(cut, COLUMNS).write(ROWS[:2])
    RowWriter(cut, COLUMNS, position).write(ROWS[3:])  # and the process is killed
    writer = RowWriter(cut, COLUMNS, position)
    writer.write(ROWS[2:4])
    writer.write(ROWS[4:])
    writer.finish()
    writer.discard()
    assert cut.read_bytes() == whole.read_bytes()
    found = read_back(cut)
    assert len(found) == 6
    if suffix == ".jsonl":
        assert found == ROWS
    else:
        assert found[3]["id"] == "3" and float(found[3]["score"]) == 1.5 and found[3]["parts"] == '[{"é": 3}]'
        assert "other" not in found[3]
    assert [*tmp_path.glob("cut*.part")] == []


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet"])
def test_a_file_without_rows(tmp_path, suffix):
    writer = RowWriter(tmp_path / f"none{suffix}", COLUMNS)
    writer.finish()
    assert read_back(tmp_path / f"none{suffix}") == []


def test_a_part_shorter_than_its_position_is_refused(tmp_path):
    (tmp_path / "a.jsonl.part").write_text("{}\n")
    with pytest.raises(ValueError, match="Cannot resume: .*a.jsonl.part has 3 bytes; expected 10 or more"):
        RowWriter(tmp_path / "a.jsonl", {}, 10)


def test_line_breaks_stay_within_their_cell(tmp_path):
    writer = RowWriter(tmp_path / "a.csv", {"text": str})
    writer.write([{"text": "a\rb"}, {"text": "a\nb"}])
    writer.finish()
    with (tmp_path / "a.csv").open(newline="") as file:
        assert [row["text"] for row in csv.DictReader(file)] == ["a\rb", "a\nb"]


@pytest.mark.parametrize("name", ["a.txt", "a", "a.nt", "a.csv.gz"])
def test_other_output_formats_are_refused(name):
    with pytest.raises(ValueError, match=r"expected a name that ends in \.jsonl, \.csv or \.parquet"):
        check_output(Path(name))
    check_output(Path("a.NT"), ".nt")
    with pytest.raises(ValueError, match=r"out.txt: expected a name that ends in"):
        RowWriter(Path("out.txt"), {})

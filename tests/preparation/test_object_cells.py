import csv
import json

import pytest

from tgdi_hf import prepare, undecoded
from tgdi_hf.data.loading import read_table

from .preparation_stubs import TEXT, StubGrounder, saved_image


@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_objects_are_boxes_or_paths_in_any_file_format(form, tmp_path, options):
    for name in ("a.png", "b.png"):
        saved_image(tmp_path, name)

    def table(*objects):
        rows = [{"text": TEXT, "head": "JFK", "tail": "Obama", "image": "a.png", "objects": each} for each in objects]
        if form == "jsonl":
            (tmp_path / "posts.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        else:
            for row in rows:
                row["objects"] = json.dumps(row["objects"]) if isinstance(row["objects"], list) else row["objects"]
            with (tmp_path / "posts.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        return read_table(tmp_path / f"posts.{form}", cache_dir=tmp_path / "read")

    options = {**options, "image_folder": tmp_path}
    crops = table(["b.png"], None, ["missing.png"])
    done = prepare(crops, tmp_path / "crops", **options)
    found = undecoded(done.dataset["train"])["objects"][:]
    assert [[part["path"] for part in parts or ()] for parts in found] == [[str(tmp_path / "b.png")], [], []]
    (fault,) = done.faults
    assert (fault.row, fault.kind) == (2, "objects") and "no such file" in fault.reason
    with pytest.raises(ValueError, match="image crops, which cannot be mixed"):
        prepare(crops, tmp_path / "refused", grounder=StubGrounder(), **options)
    done = prepare(table([[0, 0, 4, 4]], None), tmp_path / "boxes", **options)
    assert [parts or [] for parts in done.dataset["train"]["objects"][:]] == [[[0, 0, 4, 4]], []]
    assert done.faults == []
    if form == "csv":  # JSON Lines have one type per column
        mixed = table([[0, 0, 4, 4]], ["b.png"], [["a", 0, 4, 4]], "[")
        done = prepare(mixed, tmp_path / "mixed", **options)
        assert [(fault.row, fault.kind) for fault in done.faults] == [(1, "objects"), (2, "objects"), (3, "objects")]

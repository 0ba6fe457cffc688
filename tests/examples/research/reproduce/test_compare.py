import json

import pytest

from examples.research.reproduce.compare import compare
from tgdi_hf import load_mnre


def test_comparison_of_two_runs(mnre_folder, tmp_path):
    labels = load_mnre(mnre_folder)["validation"]["label"][:]
    right, wrong = ({"split": "validation", "labels": labels, "answers": answers} for answers in (labels, [0] * 4))
    for name, run_ in (("right", right), ("wrong", wrong)):
        (tmp_path / f"{name}.json").write_text(json.dumps(run_))
    related = sum(label != 0 for label in labels)
    assert related > 0
    found = compare(mnre_folder, tmp_path / "wrong.json", tmp_path / "right.json")
    assert found.startswith("right: F1 minus that of wrong: +100.0 points")
    assert f"only this model classifies correctly {related}, only the other 0" in found
    (tmp_path / "right.json").write_text(json.dumps({**right, "labels": [1] * 4}))
    with pytest.raises(ValueError, match=r"right.json was scored on split 'validation' of data other"):
        compare(mnre_folder, tmp_path / "wrong.json", tmp_path / "right.json")

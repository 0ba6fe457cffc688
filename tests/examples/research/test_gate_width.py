import json
import sys
from math import log

import pytest
import torch

from examples.research.gate_width import SCORES, SIZES, Size, collect, entropies, main, run
from tgdi_hf import make_corpus
from tgdi_hf.demo.tiny_model import tiny_tgdi

ROWS = {"train": 32, "validation": 16, "test": 32}


def test_entropies_are_relative_to_their_maximum():
    similarity = torch.tensor([[[0.25, 0.25, 0.25, 0.25], [1, 0, 0, 0]], [[0.5, 0.5, 0, 0], [0, 0, 0, 0]]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]])
    # Four equal tokens; one of four; two equal ones of three; an empty slot, which does not count.
    torch.testing.assert_close(entropies(similarity, mask), torch.tensor([1.0, 0.0, log(2) / log(3)]))


def test_a_model_is_measured_before_and_after_training(tmp_path):
    result = run("tiny", "cosine", 0.9, 0, ("", ""), tmp_path, ROWS)
    assert 0 < result["before"]["entropy"] < 1
    assert result["before"]["gate"] == pytest.approx(0.9, abs=0.02)
    assert result["after"].keys() == result["before"].keys()
    assert all(0 <= result["test"][score] <= 1 for score in ("f1", "f1_needs", "f1_needs_not"))
    json.dumps(result)


def test_pretrained_encoders_are_read_once(tmp_path):
    corpus = make_corpus(ROWS, seed=0)
    model, processor = tiny_tgdi(corpus)
    encoders = (str(tmp_path / "text"), str(tmp_path / "vision"))
    model.tgdi.text_encoder.save_pretrained(encoders[0])
    processor.tokenizer.save_pretrained(encoders[0])
    model.tgdi.vision_tower.save_pretrained(encoders[1])
    processor.image_processor.save_pretrained(encoders[1])
    result = run("pretrained", "to the letter", 0.5, 0, encoders, tmp_path / "features", ROWS)
    assert result["after"].keys() == result["before"].keys()
    assert list((tmp_path / "features").iterdir())


def test_the_table_has_one_row_per_scores_and_gate(tmp_path, monkeypatch, capsys):
    common = {"size": "tiny", "scores": "scaled", "epochs": 5, "rows": ROWS}
    for seed, entropy in enumerate((0.5, 0.7)):
        measured = {"entropy": entropy, "gate": 0.5, "gate_deviation": 0.01}
        result = {**common, "options": {**SCORES["scaled"], "initial_gate": 0.5}, "seed": seed, "before": measured}
        result |= {"after": measured, "test": {"f1": 0.9, "f1_needs": 0.8, "f1_needs_not": 1.0}}
        (tmp_path / f"tiny-scaled-50-{seed}.json").write_text(json.dumps(result))
    # 50 and 70: standard deviation the square root of 200
    expected = "| 64, two random layers | scaled | 0.5 | 2 | 60.00 ± 14.14 | 60.00 ± 14.14 | 50.00 ± 0.00 |"
    assert f"{expected} 1.00 ± 0.00 | 90.00 ± 0.00 | 80.00 ± 0.00 | 100.00 ± 0.00 |" in collect(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gate_width", "collect", "--results", str(tmp_path)])
    main()
    assert expected in capsys.readouterr().out
    (tmp_path / "tiny-scaled-50-2.json").write_text(json.dumps({**result, "epochs": 1}))
    with pytest.raises(ValueError, match="epochs"):
        collect(tmp_path)


def test_finished_runs_are_skipped(tmp_path, monkeypatch):
    arguments = ["run", "--results", str(tmp_path), "--sizes", "tiny", "--scores", "scaled"]
    monkeypatch.setitem(SIZES, "tiny", Size("64, two random layers"))
    monkeypatch.setattr(sys, "argv", ["gate_width", *arguments])
    main()
    (file,) = tmp_path.glob("*.json")
    assert "after" not in json.loads(file.read_text())
    file.write_text("{}")
    main()
    assert file.read_text() == "{}"

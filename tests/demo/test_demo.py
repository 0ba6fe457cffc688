import pytest

from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor
from tgdi_hf.demo.demo import run_demo


def test_demo_prints_scores_and_a_prediction_and_saves_a_model(tmp_path, capsys):
    run_demo(output_dir=tmp_path, epochs=1, rows={"train": 64, "validation": 32, "test": 64})
    printed = capsys.readouterr().out
    assert "text only" in printed
    assert "matching gate 0." in printed
    TGDIForRelationExtraction.from_pretrained(tmp_path)
    TGDIProcessor.from_pretrained(tmp_path)


@pytest.mark.slow
def test_demo_learns_from_images_what_the_text_leaves_open():
    scores = run_demo()
    assert scores["TGDI"]["f1"] >= 0.90
    assert scores["text only"]["f1"] <= scores["TGDI"]["f1"] - 0.10

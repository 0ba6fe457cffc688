from pathlib import Path

import pytest
from PIL import Image

from tgdi_hf.inference.explanation import explain
from tgdi_hf.inference.explanation_figure import check_figure, figure

POST = {"text": "Ann Lee meets Bob in Rome", "head": "Ann Lee", "tail": "Bob"}


def test_figure_shows_scores_and_gate(pipe, image, tmp_path):
    pytest.importorskip("matplotlib")
    for post in ({**POST, "image": image}, POST):
        result, images = explain(pipe, post)
        drawn = figure(result, images)
        drawn.savefig(tmp_path / "why.png", dpi=60)
        texts = [text.get_text() for axes in drawn.get_axes() for text in axes.texts]
        assert f"{result['score']:.2f}" in texts
        assert (f"{result['gate']:.2f}" in texts) if result["gate"] else True
        assert Image.open(tmp_path / "why.png").size[0] > 400


def test_unknown_file_formats_are_refused():
    pytest.importorskip("matplotlib")
    check_figure(Path("why.PNG"))
    with pytest.raises(ValueError, match=r"why.doc: expected a file name ending in .png, .svg or .pdf; matplotlib"):
        check_figure(Path("why.doc"))

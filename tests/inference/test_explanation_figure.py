from pathlib import Path

import pytest
from PIL import Image

from tgdi_hf.inference.explanation import explain
from tgdi_hf.inference.explanation_figure import check_figure, figure

POST = {"text": "Ann Lee meets Bob in Rome", "head": "Ann Lee", "tail": "Bob"}


def test_figure_shows_scores_and_gate(pipe_with_objects, image, tmp_path):
    pytest.importorskip("matplotlib")
    for post in ({**POST, "image": image}, POST):
        result, images = explain(pipe_with_objects, post)
        drawn = figure(result, images)
        drawn.savefig(tmp_path / "why.png", dpi=60)
        texts = [text.get_text() for axes in drawn.get_axes() for text in axes.texts]
        assert f"{result['score']:.2f}" in texts
        assert (f"{result['gate']:.2f}" in texts) if result["gate"] else True
        assert Image.open(tmp_path / "why.png").size[0] > 400


def test_figure_has_a_row_per_image_and_a_colour_bar_from_minus_one_to_one(pipe_with_objects, image):
    pytest.importorskip("matplotlib")
    drawn = figure(*explain(pipe_with_objects, {**POST, "image": image, "objects": [[0, 0, 30, 20]]}))
    titles = ["as the model saw it", "whole text", "head: Ann Lee", "tail: Bob"]
    expected = [f"{name}, {title}" for name in ("image", "object 0") for title in titles]
    shown = [axes.get_title().replace("\n", " ") for axes in drawn.get_axes() if axes.images]
    assert shown == expected
    (bar,) = [axes for axes in drawn.get_axes() if axes.get_ylabel() == "cosine of image patches and text"]
    assert bar.get_ylim() == (-1, 1)


def test_figure_without_heat_maps_has_no_colour_bar(pipe_with_objects, image):
    pytest.importorskip("matplotlib")
    pipe_with_objects.model.tgdi.matching_gate = None
    drawn = figure(*explain(pipe_with_objects, {**POST, "image": image}))
    assert "cosine of image patches and text" not in [axes.get_ylabel() for axes in drawn.get_axes()]
    assert sum(bool(axes.images) for axes in drawn.get_axes()) == 1


def test_unknown_file_formats_are_refused():
    pytest.importorskip("matplotlib")
    check_figure(Path("why.PNG"))
    with pytest.raises(ValueError, match=r"why.doc: expected a file name ending in .png, .svg or .pdf; matplotlib"):
        check_figure(Path("why.doc"))

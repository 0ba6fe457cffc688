import pytest

from tgdi_hf.inference import error_page
from tgdi_hf.inference.error_page import write_errors

POST = {"text": "Ann <3 Bob", "head": "Ann", "tail": "Bob"}
WRONG = {**POST, "relation": "None", "predicted": "peer", "score": 0.5, "caption": "two <men>"}
NO_IMAGE = "The post has no image, so there are no heat maps."


@pytest.fixture
def written(pipe_with_objects, tmp_path):
    def write(posts, **options):
        write_errors(posts, pipe_with_objects, tmp_path / "errors.html", **options)
        return (tmp_path / "errors.html").read_text()

    return write


def test_a_page_shows_each_post_with_its_explanation(pipe_with_objects, image, written, monkeypatch):
    explained, explain = [], error_page.explain
    monkeypatch.setattr(error_page, "explain", lambda pipe, post: explained.append(post) or explain(pipe, post))
    page = written(iter([{**WRONG, "image": image}] * 3), most=2, total=3)
    post = {**POST, "caption": "two <men>", "image": image}
    assert explained == [post] * 2  # without the answer to explain
    result = pipe_with_objects(post, evidence=True)
    text_only = result["evidence"]["text_only"]
    assert page.count("<article>") == 2 and "2 of 3 posts" in page
    assert "<mark class=head>Ann</mark> &lt;3 <mark class=tail>Bob</mark>" in page
    assert "predicted <code>peer</code> (0.50)" in page
    assert f"<code>{text_only['relation']}</code> ({text_only['score']:.2f}). Gate {result['gate']:.2f}." in page
    assert "Caption: two &lt;men&gt;" in page and page.count('src="data:image/jpeg;base64,') == 2 * 4
    assert 'alt="image, heat map of whole text: cosine from ' in page and page.count("<div class=cosine>") == 1
    assert "http" not in page  # nothing is loaded from elsewhere


def test_objects_have_a_heat_map_of_the_whole_text(image, written):
    page = written([{**WRONG, "image": image, "objects": [[0, 0, 30, 20]]}])
    titles = [f"image, {name}" for name in ("as the model saw it", "whole text", "head: Ann", "tail: Bob")]
    titles += ["object 0, as the model saw it", "object 0, whole text"]
    assert [part.partition("<")[0] for part in page.split("<figcaption>")[1:]] == titles
    assert "outlined: object 0" in page


def test_posts_without_image_say_so(written):
    page = written([{**WRONG, "caption": None}])
    assert NO_IMAGE in page
    assert "Gate" not in page and "Caption" not in page and "<img" not in page and "<div class=cosine>" not in page


def test_a_model_without_gate_has_images_without_heat_maps(pipe_with_objects, image, written):
    pipe_with_objects.model.tgdi.matching_gate = None
    page = written([{**WRONG, "image": image}, WRONG])
    assert page.count("<img") == 1 and "The model has no matching gate" in page and NO_IMAGE in page
    assert "<div class=cosine>" not in page


def test_overlapping_entities_are_marked_as_the_head(written):
    page = written([{**WRONG, "head": [0, 6], "tail": [4, 10]}])
    assert "<mark class=head>Ann &lt;3</mark><mark class=tail> Bob</mark>" in page

from PIL import Image

from tgdi_hf.evaluation.error_page import write_errors

POST = {"text": "Ann <3 Bob", "relation": "None", "predicted": "peer", "score": 0.5, "caption": "two <men>"}
ANSWER = {
    "head": {"start": 0, "end": 3},
    "tail": {"start": 7, "end": 10},
    "gate": 0.25,
    "evidence": {"text_only": {"relation": "None", "score": 0.75}},
}


def test_a_page_shows_each_post_with_its_explanation(tmp_path):
    explained = []

    def explain(post):
        explained.append(post)
        return ANSWER, [("the image", Image.new("RGB", (4, 4)))]

    assert write_errors(iter([POST] * 3), explain, tmp_path / "errors.html", most=2, total=3) == 2
    assert explained == [{"text": POST["text"], "caption": POST["caption"]}] * 2  # without the answer to explain
    page = (tmp_path / "errors.html").read_text()
    assert page.count("<article>") == 2 and "2 of 3 posts" in page
    assert "<mark class=head>Ann</mark> &lt;3 <mark class=tail>Bob</mark>" in page
    assert "predicted <code>peer</code> (0.50)" in page and "<code>None</code> (0.75). Gate 0.25." in page
    assert "Caption: two &lt;men&gt;" in page and '<img alt="" src="data:image/jpeg;base64,' in page
    assert "http" not in page  # nothing is loaded from elsewhere


def test_overlapping_entities_are_marked_as_the_head(tmp_path):
    answer = {**ANSWER, "head": {"start": 0, "end": 6}, "tail": {"start": 4, "end": 10}, "gate": None}
    write_errors([{**POST, "caption": None}], lambda post: (answer, []), tmp_path / "errors.html")
    page = (tmp_path / "errors.html").read_text()
    assert "<mark class=head>Ann &lt;3</mark><mark class=tail> Bob</mark>" in page
    assert "Gate" not in page and "Caption" not in page and "<img" not in page

from functools import partial

import numpy as np
import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.evaluation.error_page import write_errors
from tgdi_hf.inference.explanation import explain
from tgdi_hf.inference.heat_map import heat_map
from tgdi_hf.processing.pipeline_tgdi import MultimodalRelationExtractionPipeline

POST = {"text": "Ann Lee meets Bob in Rome", "head": "Ann Lee", "tail": "Bob"}


def test_heat_maps_of_entities_and_words(pipe, image):
    result, images = explain(pipe, {**POST, "image": image}, words=["Rome"])
    titles = [title for title, _ in images]
    assert titles[0] == "as the model saw it"
    assert titles[1:] == ["head: Ann Lee", "tail: Bob", "Rome"]
    evidence = result["evidence"]
    texts = [token["text"] for token in evidence["tokens"]]
    start, end = texts.index("<tail>") + 1, texts.index("</tail>")
    expected = heat_map(images[0][1], evidence["similarity"][0][:, :, start:end].sum(-1))
    assert np.array_equal(np.asarray(images[2][1]), np.asarray(expected))
    with pytest.raises(ValueError, match="'Paris' is not a word of the post"):
        explain(pipe, {**POST, "image": image}, words=["Paris"])


def test_without_an_image_there_is_none_to_show(pipe):
    result, images = explain(pipe, {**POST, "text": None, "words": POST["text"].split()})
    assert images == [] and result["gate"] is None


@pytest.mark.parametrize("before", [" ", "👩\u200d👧", "\u200b", "e\u0301"])
def test_posts_may_begin_with_anything(pipe, image, before):
    result, images = explain(pipe, {**POST, "text": f"{before} {POST['text']}", "image": image})
    assert result["head"]["start"] == len(before) + 1 and len(images) == 3


def test_what_has_several_pairs_is_refused(pipe):
    with pytest.raises(InvalidPost, match="expected one head and one tail"):
        explain(pipe, {"text": POST["text"], "entities": ["Ann Lee", "Bob"]})


def test_a_model_without_gate_has_an_image_and_no_heat_maps(model, processor, image, tmp_path):
    model.tgdi.matching_gate = None
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    result, images = explain(pipe, {**POST, "image": image})
    assert [title for title, _ in images] == ["as the model saw it"] and result["gate"] is None
    wrong = {"relation": "None", "predicted": result["relation"], "score": 0.5, "caption": "two men <in> gowns"}
    posts = [{**POST, "image": image, **wrong}] * 3
    assert write_errors(posts, partial(explain, pipe), tmp_path / "errors.html", most=2, total=3) == 2
    page = (tmp_path / "errors.html").read_text()
    assert page.count("<img") == 2 and "2 of 3 posts that the model gets wrong" in page
    assert "Caption: two men &lt;in&gt; gowns" in page


def test_the_image_is_processed_once(pipe, image, monkeypatch, tmp_path):
    calls = []
    process = type(pipe.processor.image_processor).preprocess
    monkeypatch.setattr(
        type(pipe.processor.image_processor),
        "preprocess",
        lambda self, images, *args, **options: calls.append(1) or process(self, images, *args, **options),
    )
    image.save(tmp_path / "post.png")
    _, images = explain(pipe, {**POST, "file_name": str(tmp_path / "post.png")})
    assert len(images) == 3 and calls == [1]

import numpy as np
import pytest

from tgdi_hf import InvalidPost
from tgdi_hf.inference.explanation import ExplainedImage, explain, missing_maps
from tgdi_hf.inference.heat_map import heat_map, outline
from tgdi_hf.processing.pipeline_tgdi import MultimodalRelationExtractionPipeline

POST = {"text": "Ann Lee meets Bob in Rome", "head": "Ann Lee", "tail": "Bob"}
TITLES = ["whole text", "head: Ann Lee", "tail: Bob"]


def texts_of(result):
    return [token["text"] for token in result["evidence"]["tokens"]]


def test_heat_maps_of_text_entities_and_words(pipe, image):
    result, (explained,) = explain(pipe, {**POST, "image": image}, words=["Rome", "meets Bob"])
    assert [*explained.maps] == [*TITLES, "word: Rome", "word: meets Bob"]
    evidence = result["evidence"]
    cosine, texts = evidence["cosine"][0], texts_of(result)
    head, tail = ([texts.index(f"<{name}>") + 1, texts.index(f"</{name}>")] for name in ("head", "tail"))
    assert explained.maps["head: Ann Lee"] == pytest.approx(cosine[:, :, slice(*head)].mean(-1), abs=1e-6)
    assert explained.maps["tail: Bob"] == pytest.approx(cosine[:, :, slice(*tail)].mean(-1), abs=1e-6)
    # The whole text is all tokens but the markers and those that frame it.
    words = [i for i, text in enumerate(texts) if not text.startswith(("<", "["))]
    assert words[0] == head[0] and len(words) == len(texts) - 6
    assert explained.maps["whole text"] == pytest.approx(cosine[:, :, words].mean(-1), abs=1e-6)
    # A phrase is found across the marker inside of it.
    phrase = [*range(head[1] + 1, tail[0] - 1), *range(*tail)]
    assert explained.maps["word: meets Bob"] == pytest.approx(cosine[:, :, phrase].mean(-1), abs=1e-6)
    for word in ("Paris", ""):
        with pytest.raises(ValueError, match=f"'{word}' is not a word of the post"):
            explain(pipe, {**POST, "image": image}, words=[word])


def test_a_word_is_looked_for_at_all_of_its_places(pipe, image):
    post = {"text": "Ann in Rome meets Bob in Rome", "head": "Ann", "tail": "Bob", "image": image}
    result, (explained,) = explain(pipe, post, words=["in"])
    places = [i for i, text in enumerate(texts_of(result)) if text == "in"]
    assert len(places) == 2
    expected = explained.cosine[:, :, places].mean(-1)
    assert explained.maps["word: in"] == pytest.approx(expected, abs=1e-6)


def test_every_image_of_the_post_is_explained(pipe_with_objects, image):
    post = {**POST, "image": image, "objects": [[0, 0, 30, 20], [30, 20, 60, 40]]}
    result, images = explain(pipe_with_objects, post)
    assert [one.name for one in images] == ["image", "object 0", "object 1"]
    assert images[0].objects == {"object 0": (0, 0, 0.5, 0.5), "object 1": (0.5, 0.5, 1, 1)}
    for one, cosine in zip(images, result["evidence"]["cosine"], strict=True):
        assert [*one.maps] == TITLES and np.array_equal(one.cosine, cosine)
    panel = images[0].map("tail: Bob", size=90)
    expected = outline(heat_map(images[0].image, images[0].maps["tail: Bob"], 90), images[0].objects)
    assert panel.title == "image, tail: Bob" and panel.image.size == (90, 60)
    assert np.array_equal(np.asarray(panel.image), np.asarray(expected))
    assert images[0].seen().description == "image, as the model saw it, outlined: object 0, object 1"
    assert images[1].seen().description == "object 0, as the model saw it"


@pytest.mark.parametrize(
    ("place", "name"), [((0, 5), "upper right"), ((2, 2), "centre"), ((5, 0), "lower left"), ((3, 1), "middle left")]
)
def test_heat_maps_are_described(image, place, name):
    cosine = np.full((6, 6), -0.25)
    cosine[place] = 0.5
    panel = ExplainedImage("object 0", image).map("Rome", cosine)
    expected = f"object 0, heat map of Rome: cosine from -0.25 to 0.50, highest at the {name}"
    assert panel.description == expected


def test_without_an_image_there_is_none_to_show(pipe):
    result, images = explain(pipe, {**POST, "text": None, "words": POST["text"].split()})
    assert images == [] and result["gate"] is None
    assert missing_maps(pipe, images) == "The post has no image, so there are no heat maps."
    with pytest.raises(ValueError, match="'Rome' cannot be looked for: The post has no image"):
        explain(pipe, POST, words=["Rome"])


@pytest.mark.parametrize("before", [" ", "👩\u200d👧", "\u200b", "e\u0301"])
def test_posts_may_begin_with_anything(pipe, image, before):
    result, (explained,) = explain(pipe, {**POST, "text": f"{before} {POST['text']}", "image": image})
    assert result["head"]["start"] == len(before) + 1 and [*explained.maps] == TITLES


def test_what_has_several_pairs_is_refused(pipe):
    with pytest.raises(InvalidPost, match="expected one head and one tail"):
        explain(pipe, {"text": POST["text"], "entities": ["Ann Lee", "Bob"]})


def test_a_model_without_gate_has_an_image_and_no_heat_maps(model, processor, image):
    model.tgdi.matching_gate = None
    pipe = MultimodalRelationExtractionPipeline(model=model, processor=processor)
    result, (explained,) = explain(pipe, {**POST, "image": image})
    assert explained.maps == {} and explained.cosine is None and result["gate"] is None
    assert missing_maps(pipe, [explained]) == "The model has no matching gate, so there are no heat maps."
    model.config.use_visual_prompts = model.config.use_matching_gate = False
    assert explain(pipe, {**POST, "image": image})[1] == []
    assert missing_maps(pipe, []) == "The model uses no images, so there are no heat maps."


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
    assert len(images) == 1 and calls == [1]


def test_an_image_is_explained_with_its_regions(pipe_with_regions, image):
    post = {**POST, "image": image, "objects": [[0, 0, 30, 20], [30, 20, 60, 40]]}
    result, (one,) = explain(pipe_with_regions, post)
    assert one.name == "image"
    assert one.objects == {"object 0": (0, 0, 0.5, 0.5), "object 1": (0.5, 0.5, 1, 1)}
    assert [*one.maps] == TITLES
    assert np.array_equal(one.cosine, result["evidence"]["cosine"][0])
    panel = one.map("tail: Bob", size=90)
    expected = outline(heat_map(one.image, one.maps["tail: Bob"], 90), one.objects)
    assert np.array_equal(np.asarray(panel.image), np.asarray(expected))

import json

import pytest
from PIL import Image

from tgdi_hf import predict
from tgdi_hf.prediction import read_posts


def test_predictions_come_in_order_with_probabilities(corpus, model, processor):
    posts = [corpus["test"][i] for i in range(10)]
    batched = list(predict(model, processor, posts, batch_size=4, top_k=3))
    single = list(predict(model, processor, posts, batch_size=1, top_k=3))
    assert len(batched) == 10
    for one, two, post in zip(batched, single, posts, strict=True):
        assert one["relation"] == two["relation"] == one["relations"][0]["relation"]
        assert one["score"] == pytest.approx(two["score"], abs=1e-5)
        scores = [r["score"] for r in one["relations"]]
        assert len(scores) == 3
        assert scores == sorted(scores, reverse=True)
        assert 0 < sum(scores) <= 1 + 1e-6
        assert (one["gate"] is None) == (post["image"] is None)


def test_posts_are_taken_as_they_are_needed(model, processor):
    taken = []

    def posts():
        for i in range(100):
            taken.append(i)
            yield {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}

    relations = predict(model, processor, posts(), batch_size=2)
    next(relations)
    assert len(taken) == 2


def test_json_lines_with_pictures_beside_them(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    post = {"text": "Ann meets Bob", "head": [0, 3], "tail": [10, 13], "image": "a.png", "objects": [[0, 0, 4, 4]]}
    (tmp_path / "posts.jsonl").write_text(json.dumps(post) + "\n\n" + json.dumps({**post, "image": None}) + "\n")
    first, second = read_posts(tmp_path / "posts.jsonl")
    assert first["image"] == tmp_path / "a.png"
    assert first["objects"] == [[0, 0, 4, 4]]
    assert second["image"] is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{text: 1}", r"posts.jsonl, line 2: expected a JSON object, found '\{text: 1\}'"),
        ("[1, 2]", "posts.jsonl, line 2: expected an object"),
        ('{"text": "a b"}', "posts.jsonl, line 2: .*head and tail"),
    ],
)
def test_a_bad_line_is_named(tmp_path, line, message):
    good = json.dumps({"text": "a b", "head": [0, 1], "tail": [2, 3]})
    (tmp_path / "posts.jsonl").write_text(good + "\n" + line + "\n")
    with pytest.raises(ValueError, match=message):
        list(read_posts(tmp_path / "posts.jsonl"))

import json

import pytest
from datasets import DatasetDict
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


POST = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}


def test_pictures_can_be_opened_ahead(corpus, model, processor):
    posts = [corpus["test"][i] for i in range(20)]
    expected = list(predict(model, processor, posts, batch_size=4))
    assert list(predict(model, processor, posts, batch_size=4, num_workers=3)) == expected
    assert [one["id"] for one in expected] == [post["id"] for post in posts]
    taken = []
    relations = predict(model, processor, (taken.append(i) or post for i, post in enumerate(posts)), 2, num_workers=2)
    next(relations)
    assert len(taken) == 6  # a batch that is done, and two on their way
    with pytest.raises(ValueError, match="^post 9: the span"):
        list(predict(model, processor, [*[POST] * 9, {**POST, "head": (0, 99)}], batch_size=2, num_workers=2))


def test_one_post_is_a_post(model, processor):
    assert [*predict(model, processor, POST)] == [*predict(model, processor, [POST])]


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"top_k": 0}])
def test_impossible_sizes_are_refused_at_once(model, processor, options):
    with pytest.raises(ValueError, match="expected 1 or more"):
        predict(model, processor, [POST], **options)


def test_a_bad_post_goes_by_its_number_among_all(model, processor):
    posts = [POST] * 5 + [{**POST, "head": (0, 99)}] + [POST] * 3
    relations = predict(model, processor, posts, batch_size=2)
    assert len([next(relations) for _ in range(4)]) == 4
    with pytest.raises(ValueError, match="^post 5: the span of `head`"):
        next(relations)


def test_bad_posts_can_be_reported_in_their_place(model, processor, tmp_path):
    posts = [POST, {**POST, "head": (0, 99)}, POST, {**POST, "image": "no.png"}, {**POST, "image": "no.png"}, POST]
    found = list(predict(model, processor, posts, batch_size=3, strict=False))
    assert ["error" in one for one in found] == [False, True, False, True, True, False]
    assert found[1]["error"].startswith("post 1: the span of `head`")
    assert found[4]["error"].startswith("post 4, image, no.png: there is no such file")
    good = next(predict(model, processor, POST))
    assert found[5]["score"] == pytest.approx(good["score"], abs=1e-6)

    lines = [json.dumps(POST), "{", json.dumps({**POST, "image": "https://example.org/a.png"}), json.dumps(POST)]
    (tmp_path / "posts.jsonl").write_text("\n".join(lines))
    found = list(predict(model, processor, read_posts(tmp_path / "posts.jsonl", strict=False), strict=False))
    assert ["error" in one for one in found] == [False, True, True, False]
    assert "line 2: expected a JSON object" in found[1]["error"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": ""}, r"posts.jsonl, line 1, image is ''; expected the path"),
        ({"image": "http://a.b/c.png"}, r"line 1, image is 'http://a.b/c.png'.*URLs are not fetched"),
        ({"objects": {"x": 1}}, r"line 1: `objects` is \{'x': 1\}; expected a list"),
        ({"objects": ["", [0, 0, 1, 2]]}, r"line 1, object 0 is ''"),
    ],
)
def test_pictures_that_are_no_paths_are_refused(tmp_path, change, message):
    (tmp_path / "posts.jsonl").write_text(json.dumps({**POST, **change}))
    with pytest.raises(ValueError, match=message):
        list(read_posts(tmp_path / "posts.jsonl"))


def test_prepared_posts_are_posts(corpus, model, processor, tmp_path):
    rows = corpus["test"].select(range(6))
    rows.remove_columns("label").to_parquet(tmp_path / "posts.parquet")
    DatasetDict(test=rows).save_to_disk(tmp_path / "prepared" / "dataset")
    expected = [one["score"] for one in predict(model, processor, rows)]
    for path in (tmp_path / "posts.parquet", tmp_path / "prepared"):
        found = [one["score"] for one in predict(model, processor, read_posts(path))]
        assert found == pytest.approx(expected, abs=1e-6)

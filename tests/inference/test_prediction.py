import pytest

from tgdi_hf import predict


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

    relations = predict(model, processor, posts(), batch_size=2, window=1)
    next(relations)
    assert len(taken) == 2
    next(predict(model, processor, posts(), batch_size=2))  # 16 batches are read ahead to sort them by length
    assert len(taken) == 2 + 32


POST = {"text": "Ann meets Bob", "head": (0, 3), "tail": (10, 13)}


def test_images_can_be_opened_ahead(corpus, model, processor):
    posts = [corpus["test"][i] for i in range(20)]
    expected = list(predict(model, processor, posts, batch_size=4))
    assert list(predict(model, processor, posts, batch_size=4, num_workers=3)) == expected
    assert [one["id"] for one in expected] == [post["id"] for post in posts]
    taken = []
    posts_taken = (taken.append(i) or post for i, post in enumerate(posts))
    relations = predict(model, processor, posts_taken, 2, num_workers=2, window=1)
    next(relations)
    assert len(taken) == 6  # a batch that is done, and two on their way
    with pytest.raises(ValueError, match="^post 9: the span"):
        list(predict(model, processor, [*[POST] * 9, {**POST, "head": (0, 99)}], batch_size=2, num_workers=2))


def test_one_post_is_a_post(model, processor):
    assert [*predict(model, processor, POST)] == [*predict(model, processor, [POST])]


def test_of_several_places_one_or_all_can_be_taken(model, processor):
    twice = {"text": "Ann meets Bob and Ann", "head": "Ann", "tail": "Bob"}
    with pytest.raises(ValueError, match="^post 0: `head` is 'Ann', which occurs 2 times"):
        list(predict(model, processor, twice))
    (first,) = predict(model, processor, twice, ambiguous="first")
    (every,) = predict(model, processor, [twice], ambiguous="all")
    assert first["head"]["start"] == 0
    assert [one["head"]["start"] for one in every["pairs"]] == [0, 18]


@pytest.mark.parametrize("options", [{"batch_size": 0}, {"top_k": 0}])
def test_sizes_below_one_are_refused_at_once(model, processor, options):
    with pytest.raises(ValueError, match="expected 1 or more"):
        predict(model, processor, [POST], **options)


def test_an_invalid_post_is_named_by_its_number_among_all_posts(model, processor):
    posts = [POST] * 5 + [{**POST, "head": (0, 99)}] + [POST] * 3
    relations = predict(model, processor, posts, batch_size=2)
    assert len([next(relations) for _ in range(5)]) == 5
    with pytest.raises(ValueError, match="^post 5: the span of `head`"):
        next(relations)

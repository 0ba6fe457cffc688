import numpy as np
import pytest
from PIL import Image

from tgdi_hf import InvalidPost
from tgdi_hf.processing import result_stream
from tgdi_hf.processing.result_stream import ResultStream, held_bytes


def post(words=0, **changes):
    return {"text": "Ann meets Bob" + " very" * words, "head": [0, 3], "tail": [10, 13], **changes}


@pytest.fixture
def stream(pipe):
    """Makes streams whose results are the numbers of the posts, and records the batches."""

    def make(**options):
        def score(batch):
            batches.append([one.number for one in batch.posts])
            return [{"number": one.number, "error": one.error} for one in batch.posts]

        batches = []
        return ResultStream(pipe.reader, score, **{"batch_size": 2, "window": 6, **options}), batches

    return make


def numbers(results):
    return [result["number"] for result in results]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_posts_of_like_length_share_a_batch_and_results_keep_the_order(stream, num_workers):
    make, batches = stream(num_workers=num_workers)
    posts = [post(words) for words in (3, 9, 1, 9, 4, 1, 0, 5, 0)]
    assert numbers(make(iter(posts))) == list(range(9))
    assert batches == [[1, 3], [4, 0], [2, 5], [7, 6], [8]]


def test_captions_count(stream):
    make, batches = stream()
    posts = [post(1), post(2), post(0, caption="a man " * 9), post(1)]
    assert numbers(make(posts)) == list(range(4))
    assert batches == [[2, 1], [0, 3]]


def test_a_window_of_one_batch_keeps_posts_as_they_arrive(stream):
    make, batches = stream(window=2)
    taken = []
    results = make(taken.append(i) or post(i) for i in range(6))
    assert next(results)["number"] == 0 and taken == [0, 1]
    assert numbers(results) == [1, 2, 3, 4, 5]
    assert batches == [[0, 1], [2, 3], [4, 5]]


def test_windows_end_at_multiples_so_that_a_resumed_stream_forms_the_same_batches(stream, monkeypatch):
    monkeypatch.setattr(result_stream, "MAX_WINDOW_BYTES", 500)
    image = Image.new("RGB", (10, 10))
    posts = [post(i % 4, **({"image": image} if i in (2, 3) else {})) for i in range(14)]
    make, whole = stream()
    assert numbers(make(posts)) == list(range(14))
    of_first_six = [[3, 2], [1, 0], [4, 5]]  # the images of the first four posts end a window
    assert whole == [*of_first_six, [7, 11], [6, 10], [9, 8], [12, 13]]
    make, rest = stream()
    list(make(posts[6:]))
    assert [[number + 6 for number in batch] for batch in rest] == whole[3:]


def test_many_pairs_end_a_window(stream, monkeypatch):
    monkeypatch.setattr(result_stream, "MAX_WINDOW_PAIRS", 6)
    make, batches = stream()
    many = {"text": "Ann meets Bob and Eve", "entities": ["Ann", "Bob", "Eve"]}  # 6 rows
    assert numbers(make([post(9), many, post(9), post(9)])) == list(range(4))
    assert batches == [[0, 1], [2, 3]]


@pytest.mark.parametrize("num_workers", [0, 2])
def test_the_first_invalid_post_is_raised_after_the_results_before(stream, tmp_path, num_workers):
    missing = {"image": str(tmp_path / "no.png")}
    posts = [post(1), post(8), post(2, **missing), post(9, **missing), post(3), post(head=[0, 99]), post(7)]
    make, _ = stream(num_workers=num_workers)
    taken = []
    results = make(taken.append(i) or one for i, one in enumerate(posts))
    assert [next(results)["number"] for _ in range(2)] == [0, 1]
    with pytest.raises(InvalidPost, match="^post 2, image"):
        next(results)
    assert 6 not in taken  # nothing is read behind a post that is invalid at once
    make, _ = stream(strict=False, num_workers=num_workers)
    assert [one["number"] for one in make(posts) if one["error"] is not None] == [2, 3, 5]


def test_a_failing_source_is_raised_after_the_results_before(stream):
    def posts():
        yield from (post(i) for i in range(5))
        raise OSError("connection lost")

    make, _ = stream()
    results = make(posts())
    assert [next(results)["number"] for _ in range(5)] == list(range(5))
    with pytest.raises(OSError, match="connection lost"):
        next(results)


def test_lone_surrogates_are_reported_in_their_turn(stream):
    make, _ = stream(strict=False)
    posts = [post(), post(text="Ann meets Bob \ud83d"), post(caption="\ud83d"), post(3)]
    errors = [str(one["error"]) for one in make(posts)]
    assert [("lone surrogate" in error) for error in errors] == [False, True, True, False]


def test_progress_counts_posts(stream):
    finished = []
    make, _ = stream(progress=finished.append)
    list(make([post(i) for i in range(7)]))
    assert finished == [2, 2, 2, 1]


def test_images_in_memory_are_counted():
    image, array = Image.new("RGB", (4, 3)), np.zeros((2, 2, 3), dtype=np.uint8)
    assert held_bytes(post(image=image, objects=[array, [0, 0, 1, 1]])) == 4 * 3 * 3 + 12
    assert held_bytes(post(image={"bytes": b"12345", "path": None}, objects=[b"12"])) == 7
    assert held_bytes(post(image="a.jpg", objects=None)) == held_bytes("text") == 0

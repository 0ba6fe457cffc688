import threading
import time
import weakref
from concurrent.futures import CancelledError, ThreadPoolExecutor
from concurrent.futures import wait as wait_for

import pytest

from tgdi_hf.serving.batching import Batcher, QueueFull, Stopping


class Model:
    """Answers each number with its square; "held" keeps the first batch until `release`."""

    def __init__(self):
        self.batches, self.threads, self.release, self.entered = [], set(), threading.Event(), threading.Event()

    def __call__(self, posts, parameters):
        self.batches.append((posts, parameters))
        self.threads.add(threading.get_ident())
        if "held" in posts:
            self.entered.set()
            assert self.release.wait(10)
        if "bad" in posts:
            raise KeyError("bad")
        if "short" in posts:
            return posts[:-1]
        return [post if isinstance(post, str) else post**2 for post in posts]


@pytest.fixture
def model():
    return Model()


@pytest.fixture
def make(model):
    made = []

    def make(**options):
        made.append(Batcher(model, **{"max_wait": 0, **options}))
        made[-1].start()
        return made[-1]

    yield make
    model.release.set()
    for one in made:
        one.close(10)
        assert not one.is_alive


@pytest.fixture
def held(make, model):
    """Makes a batcher whose model is busy until `release`, so that requests gather."""

    def hold(**options):
        batcher = make(**options)
        first = batcher.submit(["held"], {})
        assert model.entered.wait(10)
        return batcher, first

    return hold


def results(*answers):
    return [answer.result(10) for answer in answers]


def test_requests_that_gather_share_a_batch(held, model):
    batcher, first = held()
    answers = [batcher.submit([i, i + 100], {}) for i in range(3)]
    assert batcher.waiting == 6
    model.release.set()
    assert results(*answers) == [[0, 10000], [1, 10201], [4, 10404]]
    assert first.result() == ["held"]
    assert [posts for posts, _ in model.batches] == [["held"], [0, 100, 1, 101, 2, 102]]
    assert batcher.waiting == 0 and len(model.threads) == 1


def test_a_batch_is_bounded_and_keeps_requests_whole(held, model):
    batcher, _ = held(max_batch=4)
    sizes = [3, 2, 1, 6, 4]
    answers = [batcher.submit([i] * size, {}) for i, size in enumerate(sizes)]
    model.release.set()
    assert results(*answers) == [[i * i] * size for i, size in enumerate(sizes)]
    assert [posts for posts, _ in model.batches[1:]] == [[0, 0, 0], [1, 1, 2], [3] * 6, [4] * 4]


def test_requests_with_other_parameters_are_another_batch(held, model):
    batcher, _ = held()
    one, two = {"top_k": 1, "evidence": False}, {"top_k": 2}
    same = dict(reversed(one.items()))
    answers = [batcher.submit([i], parameters) for i, parameters in enumerate((one, two, same, two))]
    model.release.set()
    assert results(*answers) == [[0], [1], [4], [9]]
    assert model.batches[1:] == [([0, 2], one), ([1, 3], two)]


def test_an_idle_model_waits_for_others(make, model):
    batcher = make(max_wait=0.3, max_batch=2)
    start = time.monotonic()
    assert results(batcher.submit([2], {})) == [[4]]
    assert time.monotonic() - start >= 0.3
    start = time.monotonic()
    assert results(batcher.submit([2], {}), batcher.submit([3], {})) == [[4], [9]]  # full, so it starts at once
    assert time.monotonic() - start < 0.3
    assert [posts for posts, _ in model.batches] == [[2], [2, 3]]


def test_a_failing_request_spoils_no_other(held, model):
    batcher, _ = held()
    good, bad, short, other = (batcher.submit([one], {}) for one in (1, "bad", "short", 2))
    model.release.set()
    assert results(good, other) == [[1], [4]]
    with pytest.raises(KeyError, match="bad"):
        bad.result(10)
    with pytest.raises(RuntimeError, match="returned 0 results for 1 posts"):
        short.result(10)
    assert results(batcher.submit([5], {})) == [[25]]


def test_memory_of_a_failed_batch_is_free_when_its_requests_run_again():
    class Tensor:
        pass

    allocated = []

    def run(posts, parameters):
        if any(one() is not None for one in allocated):
            raise MemoryError
        tensor = Tensor()
        allocated.append(weakref.ref(tensor))
        if len(posts) > 1:
            raise MemoryError
        return posts

    batcher = Batcher(run, max_wait=0)
    answers = [batcher.submit([i], {}) for i in range(3)]
    batcher.start()
    assert results(*answers) == [[0], [1], [2]] and len(allocated) == 4
    batcher.close(10)


def test_a_cancelled_request_leaves_the_queue(held, model):
    batcher, running = held(max_queue=2)
    gone, kept = batcher.submit([1], {}), batcher.submit([2], {})
    assert gone.cancel() and not running.cancel()
    assert batcher.waiting == 1
    last = batcher.submit([3], {})
    model.release.set()
    assert results(kept, last) == [[4], [9]]
    assert [posts for posts, _ in model.batches] == [["held"], [2, 3]]
    with pytest.raises(CancelledError):
        gone.result()


def test_a_request_cancelled_while_it_waits_for_others(make, model):
    batcher = make(max_wait=0.2)
    assert batcher.submit([1], {}).cancel()
    assert results(batcher.submit([2], {})) == [[4]]
    assert [posts for posts, _ in model.batches] == [[2]]


def test_the_queue_is_bounded_in_posts(held, model):
    batcher, _ = held(max_queue=3)
    answer = batcher.submit([1, 2], {})
    batcher.check_room(1)
    for refused in (lambda: batcher.submit([3, 4], {}), lambda: batcher.check_room(2)):
        with pytest.raises(QueueFull, match="2 posts are waiting; expected at most 3"):
            refused()
    model.release.set()
    assert results(answer) == [[1, 4]]
    assert results(batcher.submit([3, 4], {})) == [[9, 16]]


def test_stopping_answers_what_is_queued_and_refuses_the_rest(held, model):
    batcher, first = held()
    batcher.max_wait = 60
    queued = batcher.submit([2], {})
    batcher.stop()
    with pytest.raises(Stopping):
        batcher.submit([3], {})
    model.release.set()
    batcher.close(10)
    assert (first.result(0), queued.result(0)) == (["held"], [4])  # without waiting for others
    assert not batcher.is_alive


def test_many_threads_receive_their_own_answers(make, model):
    batcher = make(max_wait=0.001, max_queue=10_000)

    def submit(i):
        return [batcher.submit([j, j + 1], {"top_k": 1 + j % 2}).result(10) for j in range(i, i + 25)]

    with ThreadPoolExecutor(16) as threads:
        asked = {threads.submit(submit, 25 * i): 25 * i for i in range(16)}
        assert not wait_for(asked, 20).not_done
    for answer, i in asked.items():
        assert answer.result() == [[j**2, (j + 1) ** 2] for j in range(i, i + 25)]
    assert len(model.threads) == 1 and len(model.batches) < 400
    assert all(len(posts) <= 16 for posts, _ in model.batches)


@pytest.mark.parametrize("limit", [{"max_batch": 0}, {"max_wait": -1}, {"max_wait": float("nan")}, {"max_queue": 0}])
def test_limits_are_checked(limit, model):
    (name,) = limit
    with pytest.raises(ValueError, match=f"`{name}` is .*; expected [01] or more"):
        Batcher(model, **limit)


def test_batches_are_reported(held, model):
    sizes = []
    batcher, _ = held(on_batch=sizes.append)
    answers = [batcher.submit([1, 2], {}), batcher.submit([3], {})]
    model.release.set()
    assert results(*answers) == [[1, 4], [9]]
    assert sizes == [1, 3]

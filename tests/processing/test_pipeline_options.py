import numpy as np
import pytest

from tgdi_hf.processing.pipeline_options import DEFAULTS, check_numbers, check_options, posts_per_window


def test_the_defaults_are_valid():
    check_options(DEFAULTS, "a-task")
    check_options({}, "a-task")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"topk": 3, "a": 1}, TypeError, "The pipeline a-task has no option a, topk; it has batch_size"),
        ({"ambiguous": "last"}, ValueError, "`ambiguous` is 'last'; expected 'error' or 'first' or 'all'"),
        ({"truncation": 1}, ValueError, "`truncation` is 1; expected True or False"),
        ({"window": 0}, ValueError, "`window` is 0; expected 1 or more"),
        ({"max_batch_tokens": 0.5}, ValueError, "`max_batch_tokens` is 0.5; expected 1 or more"),
        ({"top_k": 0}, ValueError, "`top_k` is 0; expected 1 or more"),
        ({"threshold": 1}, ValueError, "`threshold` is 1; expected a probability"),
        ({"threshold": 10**400}, ValueError, "`threshold` is 10{79}; expected a probability"),
    ],
)
def test_invalid_options_are_rejected(options, error, message):
    with pytest.raises(error, match=message):
        check_options(options, "a-task")


def test_numbers_of_numpy_are_thresholds():
    check_numbers({"threshold": np.float32(0.5), "top_k": None})


@pytest.mark.parametrize(
    ("arguments", "posts"),
    [((16, None), 256), ((16, None, True), 16), ((1, None), 1), ((16, 1), 16), ((16, 17), 32), ((16, 17, True), 32)],
)
def test_a_window_is_whole_batches(arguments, posts):
    assert posts_per_window(*arguments) == posts

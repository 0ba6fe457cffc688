from types import SimpleNamespace

import pytest

from tgdi_hf.training.batch_size import resume_batch_size, train_within_memory


def arguments(size, steps=1, processes=1):
    return SimpleNamespace(
        per_device_train_batch_size=size, gradient_accumulation_steps=steps, world_size=processes,
        auto_find_batch_size=False,
    )  # fmt: skip


def fits(largest, tried, error="CUDA out of memory. Tried to allocate"):
    def train(size, steps):
        tried.append((size, steps))
        if size > largest:
            raise RuntimeError(error)
        return "trained"

    return train


def test_batches_are_halved_at_a_constant_number_of_rows_per_step():
    tried = []
    assert train_within_memory(fits(5, tried), arguments(16, 2)) == "trained"
    assert tried == [(16, 2), (8, 4), (4, 8)]
    tried = []
    assert train_within_memory(fits(100, tried), arguments(16)) == "trained" and tried == [(16, 1)]


@pytest.mark.parametrize(("size", "smallest", "last"), [(16, 1, 1), (16, 2, 2), (12, 1, 3), (1, 1, 1)])
def test_the_error_is_raised_where_no_smaller_batch_is_possible(size, smallest, last):
    tried = []
    with pytest.raises(RuntimeError, match="CUDA out of memory"):
        train_within_memory(fits(0, tried), arguments(size), smallest)
    assert tried[-1][0] == last


def test_other_errors_are_not_retried():
    tried = []
    with pytest.raises(RuntimeError, match="expected a scalar"):
        train_within_memory(fits(4, tried, error="expected a scalar"), arguments(16))
    assert tried == [(16, 1)]


@pytest.mark.parametrize(
    ("fitted", "devices", "expected"), [(16, 0, (16, 2)), (4, 1, (4, 8)), (8, 2, (4, 8)), (None, 1, (16, 2))]
)
def test_a_resumed_run_starts_with_the_size_that_fitted(fitted, devices, expected):
    resumed = arguments(16, 2)
    resumed.n_gpu = devices
    resume_batch_size(resumed, fitted)
    assert (resumed.per_device_train_batch_size, resumed.gradient_accumulation_steps) == expected


def test_several_processes_are_refused():
    with pytest.raises(ValueError, match="`auto_batch_size` requires one process; found 2"):
        train_within_memory(fits(4, []), arguments(16, processes=2))


def test_one_search_for_a_batch_size_is_enough():
    both = arguments(16)
    both.auto_find_batch_size = True
    with pytest.raises(ValueError, match="`auto_find_batch_size` changes them. Omit the latter"):
        train_within_memory(fits(4, []), both)

import threading

import pytest

from tgdi_hf.processing.prefetch import prefetch


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_results_keep_the_order_of_the_items(workers):
    assert list(prefetch(lambda number: number * number, iter(range(20)), workers)) == [n * n for n in range(20)]
    assert list(prefetch(str, [], workers)) == []


def test_at_most_so_many_items_are_read_ahead_as_there_are_workers():
    read = []

    def items():
        for number in range(10):
            read.append(number)
            yield number

    results = prefetch(str, items(), 2)
    assert next(results) == "0"
    assert read == [0, 1, 2]


def test_the_next_item_is_processed_while_the_caller_has_the_current_one():
    second_item_is_done = threading.Event()

    def function(number):
        if number == 1:
            second_item_is_done.set()
        return number

    results = prefetch(function, range(3), 1)
    assert next(results) == 0
    assert second_item_is_done.wait(timeout=10)


def test_results_before_a_failure_of_the_items_are_yielded():
    def items():
        yield from range(3)
        raise OSError("connection lost")

    results = prefetch(str, items(), 2)
    assert [next(results) for _ in range(3)] == ["0", "1", "2"]
    with pytest.raises(OSError, match="connection lost"):
        next(results)


def test_a_failure_of_the_function_is_raised_in_its_place():
    results = prefetch(lambda number: 1 / number, [1, 0, 2], 2)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)

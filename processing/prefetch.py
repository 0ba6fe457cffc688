"""Preparing the next items in threads while the caller computes on the current one."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def prefetch(function: Callable[[Item], Result], items: Iterable[Item], workers: int) -> Iterator[Result]:
    r"""
    `map` whose calls run in threads, at most `workers` items ahead of the caller. Results keep the order of the items.

    `items` is iterated in the caller's thread. If it raises an exception, the results of all items before are yielded
    first; an interrupt takes effect at once.

    Args:
        function: Called once per item.
        items: Usually batches; may be a stream of any length.
        workers (`int`): Number of threads; with 0 the calls run in the caller's thread, without any prefetching.
    """
    if not workers:
        yield from map(function, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        pending: deque[Future[Result]] = deque()
        iterator, failure = iter(items), None
        while True:
            try:
                item = next(iterator)
            except StopIteration:
                break
            except Exception as error:
                failure = error
                break
            pending.append(pool.submit(function, item))
            if len(pending) > workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
        if failure is not None:
            raise failure

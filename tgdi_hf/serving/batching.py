"""Dynamic batching: requests that arrive together share a run of the model."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import count
from typing import Any

Post = dict[str, Any]
Run = Callable[[list[Post], Mapping[str, Any]], list[Any]]


class QueueFull(Exception):
    r"""
    No room for the posts of a request.

    Args:
        waiting (`int`): Posts in the queue.
        most (`int`): The limit.
    """

    def __init__(self, waiting: int, most: int):
        super().__init__(f"{waiting} posts are waiting; expected at most {most}")
        self.waiting, self.most = waiting, most


class Stopping(Exception):
    """The queue accepts no more requests."""


@dataclass(frozen=True)
class Job:
    r"""
    A request in the queue.

    Args:
        posts: Its checked posts.
        parameters: Its parameters.
        key: The parameters as JSON. Jobs of one key can share a batch: the pipeline takes one set of options per call.
        arrival: When it arrived, in seconds of the monotonic clock.
        answer: Will hold one result per post.
    """

    posts: list[Post]
    parameters: Mapping[str, Any]
    key: str
    arrival: float = field(default_factory=time.monotonic)
    answer: "Future[list[Any]]" = field(default_factory=Future)


class Batcher:
    r"""
    A queue of requests, and the only thread that runs the model: on batches of requests, oldest first.

    A batch holds whole requests with equal parameters, up to `max_batch` posts; a larger request is a batch of its own.
    A batch starts when it is full, or when its oldest request has waited for `max_wait` seconds. If a batch fails, its
    requests run again one by one, so that only those that cause the error fail.

    Args:
        run: Returns one result per post, given posts and parameters.
        max_batch: Posts per batch.
        max_wait: Seconds that a request waits for others at most, while the model is idle.
        max_queue: Posts that may wait.
        on_batch: Called with the number of posts of each batch.

    Raises:
        ValueError: A limit is out of range.
    """

    def __init__(
        self,
        run: Run,
        max_batch: int = 16,
        max_wait: float = 0.005,
        max_queue: int = 256,
        on_batch: Callable[[int], Any] = lambda posts: None,
    ):
        for name, value, least in (("max_batch", max_batch, 1), ("max_wait", max_wait, 0), ("max_queue", max_queue, 1)):
            if not value >= least:
                raise ValueError(f"`{name}` is {value}; expected {least} or more.")
        self.run, self.max_batch, self.max_wait, self.max_queue = run, max_batch, max_wait, max_queue
        self.on_batch = on_batch
        self._jobs: dict[int, Job] = {}  # by ticket, hence in the order of arrival
        self._tickets = count()
        self._changed = threading.Condition()
        self._stopping = False
        self._thread = threading.Thread(target=self._work, name="tgdi-model", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._thread.is_alive()

    @property
    def waiting(self) -> int:
        """Posts in the queue."""
        with self._changed:
            return sum(len(job.posts) for job in self._jobs.values())

    def check_room(self, posts: int = 1) -> None:
        r"""
        Raises:
            QueueFull: The posts would not fit into the queue.
            Stopping: The queue accepts nothing more.
        """
        with self._changed:
            if self._stopping:
                raise Stopping
            if self.waiting + posts > self.max_queue:
                raise QueueFull(self.waiting, self.max_queue)

    def submit(self, posts: list[Post], parameters: Mapping[str, Any]) -> "Future[list[Any]]":
        r"""
        Adds a request to the queue.

        Args:
            posts: Its checked posts.
            parameters: Its parameters.

        Returns:
            A future of one result per post. Cancelling it takes a waiting request out of the queue.

        Raises:
            QueueFull, Stopping: As `check_room`.
        """
        with self._changed:
            self.check_room(len(posts))
            ticket = next(self._tickets)
            self._jobs[ticket] = job = Job(posts, parameters, json.dumps(parameters, sort_keys=True))
            self._changed.notify()
        job.answer.add_done_callback(lambda _: self._forget(ticket))
        return job.answer

    def stop(self) -> None:
        """Refuses new requests; those in the queue are answered."""
        with self._changed:
            self._stopping = True
            self._changed.notify()

    def close(self, timeout: float | None = None) -> None:
        """Stops, and returns when the queue is empty, or after `timeout` seconds."""
        self.stop()
        self._thread.join(timeout)

    def _forget(self, ticket: int) -> None:
        with self._changed:
            self._jobs.pop(ticket, None)

    def _work(self) -> None:
        while batch := self._next_batch():
            self.on_batch(sum(len(job.posts) for job in batch))
            self._answer(batch)

    def _next_batch(self) -> list[Job]:
        """Waits for a batch and takes it out of the queue; an empty one means that the queue is empty and closed."""
        with self._changed:
            while True:
                if not self._jobs:
                    if self._stopping:
                        return []
                    self._changed.wait()
                    continue
                tickets, is_full = self._oldest()
                rest = self._jobs[tickets[0]].arrival + self.max_wait - time.monotonic()
                if not (is_full or self._stopping or rest <= 0):
                    self._changed.wait(rest)
                    continue
                jobs = [self._jobs.pop(ticket) for ticket in tickets]
                # Those that were cancelled a moment ago are left out.
                if batch := [job for job in jobs if job.answer.set_running_or_notify_cancel()]:
                    return batch

    def _oldest(self) -> tuple[list[int], bool]:
        """The tickets of the next batch, and whether it is full."""
        tickets: list[int] = []
        posts, key = 0, next(iter(self._jobs.values())).key
        for ticket, job in self._jobs.items():
            if job.key != key:
                continue
            if tickets and posts + len(job.posts) > self.max_batch:
                return tickets, True
            tickets.append(ticket)
            posts += len(job.posts)
        return tickets, posts >= self.max_batch

    def _answer(self, batch: list[Job]) -> None:
        try:
            results = self._results([post for job in batch for post in job.posts], batch[0].parameters)
        except Exception as error:
            if len(batch) == 1:
                batch[0].answer.set_exception(error)
                return
            results = None
        if results is None:
            # Not while the error is handled: it keeps the tensors of the batch, and memory may be what was lacking.
            for job in batch:
                self._answer([job])
            return
        start = 0
        for job in batch:
            job.answer.set_result(results[start : start + len(job.posts)])
            start += len(job.posts)

    def _results(self, posts: list[Post], parameters: Mapping[str, Any]) -> list[Any]:
        results = self.run(posts, parameters)
        if len(results) != len(posts):
            raise RuntimeError(f"The model returned {len(results)} results for {len(posts)} posts.")
        return results

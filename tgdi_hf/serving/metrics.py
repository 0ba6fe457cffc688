"""Metrics of the server in the format of Prometheus."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
POSTS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    r"""
    Requests by status and their latency, posts per batch, the length of the queue; on Linux also memory and processor
    time of the process.

    Args:
        waiting: Returns the number of posts in the queue.
    """

    def __init__(self, waiting: Callable[[], int]):
        self.registry = CollectorRegistry()
        self.requests = Counter("tgdi_requests", "Requests for predictions.", ["status"], registry=self.registry)
        self.seconds = Histogram(
            "tgdi_request_seconds", "Seconds from a request to its answer.", buckets=SECONDS, registry=self.registry
        )
        self.batches = Histogram(
            "tgdi_batch_posts", "Posts per batch of the model.", buckets=POSTS, registry=self.registry
        )
        queue = Gauge("tgdi_queue_posts", "Posts that wait for the model.", registry=self.registry)
        queue.set_function(waiting)
        ProcessCollector(registry=self.registry)

    def count(self, status: int, seconds: float) -> None:
        """Counts an answered request."""
        self.requests.labels(str(status)).inc()
        self.seconds.observe(seconds)

    def text(self) -> bytes:
        """All metrics in the text format."""
        return generate_latest(self.registry)

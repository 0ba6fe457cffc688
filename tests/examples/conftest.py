import pytest


@pytest.fixture(autouse=True)
def _without_coverage(no_cover):
    """The report leaves `examples/` out, and tracing doubles the time of these tests."""

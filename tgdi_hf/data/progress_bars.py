"""Progress bars of `datasets`, for steps that take a moment only."""

from collections.abc import Iterator
from contextlib import contextmanager

from datasets import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars


@contextmanager
def without_progress_bars(condition: bool = True) -> Iterator[None]:
    """Disables the progress bars of `datasets` if the condition holds, and enables them again if they were enabled."""
    if not condition or are_progress_bars_disabled():
        yield
        return
    disable_progress_bars()
    try:
        yield
    finally:
        enable_progress_bars()

"""The options of a pipeline call: their defaults, and checks of their values."""

from collections.abc import Mapping
from numbers import Real
from typing import Any

from .post_text import check_ambiguous

DEFAULTS: dict[str, Any] = {
    "batch_size": 16,
    "window": None,
    "max_batch_tokens": 8192,
    "num_workers": 0,
    "top_k": None,
    "drop_none": False,
    "evidence": False,
    "strict": True,
    "progress": False,
    "pairs": "auto",
    "negative_label": "auto",
    "threshold": None,
    "ambiguous": "error",
    "truncation": True,
}


BATCHES_PER_WINDOW = 16


def posts_per_window(batch_size: int, window: int | None, evidence: bool = False) -> int:
    r"""
    Args:
        batch_size: Posts per batch.
        window: The option of the call. By default a window is `BATCHES_PER_WINDOW` batches; or a single batch with
            evidence, whose maps would take much memory while results wait for their turn, or if a batch is one post,
            which is never padded.
        evidence: The option of the call.

    Returns:
        The number of posts that are read ahead and sorted by length: whole batches.
    """
    if window is None:
        return batch_size if evidence or batch_size == 1 else BATCHES_PER_WINDOW * batch_size
    return -(-window // batch_size) * batch_size


def check_options(options: Mapping[str, Any], task: str) -> None:
    r"""
    Raises:
        TypeError: An option is unknown.
        ValueError: An option has an invalid value.
    """
    unknown = options.keys() - DEFAULTS.keys()
    if unknown:
        raise TypeError(
            f"The pipeline {task} has no option {', '.join(sorted(unknown))}; it has {', '.join(DEFAULTS)}."
        )
    check_numbers(options)
    check_ambiguous(options.get("ambiguous", "error"))
    if not isinstance(options.get("truncation", True), bool):
        raise ValueError(f"`truncation` is {options['truncation']!r}; expected True or False.")


def check_numbers(options: Mapping[str, Any]) -> None:
    """Raises a `ValueError` if a number among the options is out of range."""
    for name in ("batch_size", "window", "max_batch_tokens", "top_k"):
        value = options.get(name, 1)
        if name in ("window", "top_k") and value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise ValueError(f"`{name}` is {value!r}; expected 1 or more.")
    threshold = options.get("threshold")
    # True and False are outside the open interval.
    if threshold is not None and not (isinstance(threshold, Real) and 0 < threshold < 1):  # type: ignore[operator]
        raise ValueError(f"`threshold` is {threshold!r:.80}; expected a probability, a number between 0 and 1.")

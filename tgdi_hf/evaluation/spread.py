"""Mean and standard deviation over runs, such as seeds."""

from collections.abc import Sequence
from statistics import mean, stdev


def deviation(values: Sequence[float]) -> float:
    """The sample standard deviation; 0 for a single value."""
    return stdev(values) if len(values) > 1 else 0.0


def mean_and_deviation(values: Sequence[float], digits: int = 2) -> str:
    r"""
    Formats a score over runs.

    Args:
        values: One share per run, from 0 to 1.
        digits: Number of decimals.

    Returns:
        Mean ± sample standard deviation in percent; of a single value the value alone, of none the empty string.
    """
    if not values:
        return ""
    text = f"{100 * mean(values):.{digits}f}"
    return f"{text} ± {100 * deviation(values):.{digits}f}" if len(values) > 1 else text

"""The least probability at which each relation of a multi-label model holds."""

from collections.abc import Sequence
from numbers import Real


def checked_thresholds(thresholds: Sequence[float] | None, num_labels: int, multi_label: bool) -> list[float] | None:
    r"""
    Args:
        thresholds (`list[float]`, *optional*): One per label, between 0 and 1; by default 0.5 for each.
        num_labels (`int`): How many labels the model has.
        multi_label (`bool`): Whether it is a multi-label model.

    Returns:
        `list[float]` or `None`: The thresholds; `None` for a single-label model, which has none.

    Raises:
        ValueError: Thresholds of a single-label model, of another length, or outside (0, 1).
    """
    if thresholds is None:
        return [0.5] * num_labels if multi_label else None
    fits = isinstance(thresholds, list | tuple) and all(isinstance(value, Real) for value in thresholds)
    if not (multi_label and fits and len(thresholds) == num_labels and all(0 < value < 1 for value in thresholds)):
        hint = "" if not hasattr(thresholds, "tolist") else " Make a list of them with `.tolist()`."
        raise ValueError(
            f"`decision_thresholds` is {thresholds!r:.200}; expected a list with a probability between 0 and 1 for "
            f"each of the {num_labels} labels, and `problem_type='multi_label_classification'`.{hint}"
        )
    return list(thresholds)

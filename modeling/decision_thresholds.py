"""Decision thresholds: the minimum probability at which a multi-label model predicts each relation."""

from collections.abc import Sequence
from numbers import Real


def checked_thresholds(thresholds: Sequence[float] | None, num_labels: int, multi_label: bool) -> list[float] | None:
    r"""
    Args:
        thresholds (`list[float]`, *optional*): One per label, between 0 and 1; defaults to 0.5 for each.
        num_labels (`int`): The number of labels of the model.
        multi_label (`bool`): Whether it is a multi-label model.

    Returns:
        `list[float]` or `None`: The thresholds; `None` for a single-label model.

    Raises:
        ValueError: A single-label model has thresholds, or their number or a value outside (0, 1) is invalid.
    """
    if thresholds is None:
        return [0.5] * num_labels if multi_label else None
    fits = isinstance(thresholds, list | tuple) and all(isinstance(value, Real) for value in thresholds)
    if not (multi_label and fits and len(thresholds) == num_labels and all(0 < value < 1 for value in thresholds)):
        hint = " Convert them to a list with `.tolist()`." if hasattr(thresholds, "tolist") else ""
        raise ValueError(
            f"`decision_thresholds` is {thresholds!r:.200}; expected a list with a probability between 0 and 1 for "
            f"each of the {num_labels} labels, and `problem_type='multi_label_classification'`.{hint}"
        )
    return list(thresholds)

"""Early stopping by the validation score."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from transformers import EarlyStoppingCallback, TrainerCallback, TrainerState


class EarlyStopping(NamedTuple):
    r"""
    Args:
        patience: The number of epochs without a better score after which a training stops; `None` for all epochs.
    """

    patience: int | None

    @property
    def arguments(self) -> dict[str, Any]:
        """Fields of `TrainingArguments`: a resumed run goes on counting where it was interrupted."""
        return {} if self.patience is None else {"restore_callback_states_from_checkpoint": True}

    def callbacks(self) -> list[TrainerCallback]:
        """The callbacks of one training; they count, so that each training has its own."""
        return [] if self.patience is None else [EarlyStoppingCallback(self.patience)]

    def has_stopped(self, state: TrainerState) -> bool:
        """Whether a training stopped in this state. `Trainer` would resume it for another epoch."""
        callbacks: Any = state.stateful_callbacks  # their states by class name once saved, other than annotated
        saved = callbacks.get("EarlyStoppingCallback")
        counted = 0 if saved is None else saved["attributes"]["early_stopping_patience_counter"]
        return self.patience is not None and counted >= self.patience


def early_stopping_options(patience: int | None, arguments: Mapping[str, Any]) -> EarlyStopping:
    r"""
    Args:
        patience: See `EarlyStopping`.
        arguments: The fields of `TrainingArguments` that replace those of the recipe.

    Raises:
        ValueError: A patience below 1, or arguments without which no epoch is the best one.
    """
    if patience is None:
        return EarlyStopping(None)
    if isinstance(patience, bool) or not isinstance(patience, int) or patience < 1:
        raise ValueError(f"`early_stopping` is {patience!r}; expected the number of epochs to wait, 1 or more.")
    valid: dict[str, tuple[Any, ...]] = {"load_best_model_at_end": (True,), "eval_strategy": ("epoch", "steps")}
    for name, values in valid.items():
        found = arguments.get(name, values[0])
        if found not in values:
            raise ValueError(f"`early_stopping` compares epochs, but `{name}` is {found!r}. Omit one of the two.")
    return EarlyStopping(patience)

"""Models of a hyperparameter search, checked against the first one."""

import inspect
from collections.abc import Callable
from typing import Any

from transformers import PreTrainedConfig, PreTrainedModel

# Fields by which data and trainer are set up, so that all models of a search have to share them.
SHARED_FIELDS = (
    "id2label",
    "problem_type",
    "negative_label",
    "direction_balanced",
    "symmetric_relations",
    "inverse_labels",
)


class CheckedModelInit:
    r"""
    A `model_init` for `Trainer` that refuses models for which data and trainer were not set up.

    Args:
        model_init: Creates a model, from a trial (`None` outside of a search) or without arguments.

    Attributes:
        config: The configuration of the model without a trial.

    Raises:
        ValueError: `model_init` does not return a model; when called, a model requires other data than the first one.
    """

    def __init__(self, model_init: Callable[..., PreTrainedModel]):
        self.model_init = model_init
        self.takes_trial = bool(inspect.signature(model_init).parameters)
        self.config: PreTrainedConfig = self._create(None).config

    def __call__(self, trial: Any) -> PreTrainedModel:
        model = self._create(trial)
        for name in SHARED_FIELDS:
            self._check(name, getattr(self.config, name, None), getattr(model.config, name, None))
        # Whether a term is added to the loss decides which arguments of `Trainer` are refused; its weight may differ.
        for name in getattr(self.config, "extra_loss_fields", ()):
            first, other = getattr(self.config, name), getattr(model.config, name, None)
            self._check(name, first, other, differs=bool(first) != bool(other))
        for name in ("tail_first_bias", "gate_is_probability", "label_log_priors"):  # these follow from the data
            if hasattr(self.config, name):
                setattr(model.config, name, getattr(self.config, name))
        return model

    def _check(self, name: str, first: Any, other: Any, differs: bool | None = None) -> None:
        if first != other if differs is None else differs:
            raise ValueError(
                f"`model_init` returned a model with `{name}={other!r}`, but the data were set up for {first!r}. Use "
                "one trainer per value."
            )

    def _create(self, trial: Any) -> PreTrainedModel:
        model = self.model_init(trial) if self.takes_trial else self.model_init()
        if not hasattr(model, "config"):
            raise ValueError(f"`model_init` returned {model!r:.80}; expected a model.")
        return model

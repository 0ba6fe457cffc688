"""What `make_trainer` has to know of its data, its arguments and its model before it makes a `Trainer`."""

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from datasets import ClassLabel, Features, IterableDataset, List
from torch.utils.data import IterableDataset as TorchIterableDataset
from transformers import PreTrainedConfig, PreTrainedModel, TrainingArguments
from transformers.trainer_utils import SaveStrategy

from ..modeling.negative_label import MULTI_LABEL

METRICS = ("f1", "precision", "recall", "accuracy", "loss")  # what an evaluation gives
# Fields of a configuration that ask for more than the cross-entropy of the logits.
EXTRA_LOSSES = ("matching_loss_weight", "branch_consistency_weight", "r_drop_weight", "inverse_labels")
# Fields by which data and trainer are set up, and which all models of a search have to share.
_SHARED_FIELDS = (
    "id2label",
    "problem_type",
    "negative_label",
    "direction_balanced",
    "symmetric_relations",
    *EXTRA_LOSSES,
)


def relation_names(dataset: Any, config: PreTrainedConfig) -> tuple[list[str], bool]:
    r"""
    The relations, in the order of their ids, and whether a row may have several.

    Args:
        dataset: Splits.
        config: The model's configuration, which names them where no split declares a `ClassLabel`.

    Raises:
        ValueError: These are no splits, a split has labels of another kind, or nothing names the relations.
    """
    if not isinstance(dataset, Mapping) or not dataset:
        found = f"a {type(dataset).__name__}" if dataset or not isinstance(dataset, Mapping) else "none"
        raise ValueError(f"`dataset` has to be splits, such as {{'train': ..., 'validation': ...}}; found {found}.")
    for split, rows in dataset.items():
        features = getattr(rows, "features", None)
        if not isinstance(features, Features):
            continue
        if "label" not in features:
            raise ValueError(
                f"The split {split!r} has no column 'label', only {', '.join(features)}. A column of names, 'label' or "
                "'relation', becomes one with `tgdi_hf.training.fine_tuning.with_class_labels(dataset)`."
            )
        label = features["label"]
        several = isinstance(label, List)
        label = label.feature if several else label
        if isinstance(label, ClassLabel):
            return label.names, several
        if "int" not in getattr(label, "dtype", ""):
            raise ValueError(
                f"The column 'label' of the split {split!r} is {label}; expected a `ClassLabel`. Make it one with "
                "`tgdi_hf.training.fine_tuning.with_class_labels(dataset)`, or `dataset.cast_column('label', "
                "ClassLabel(names=[...]))`."
            )
    names = [name for _, name in sorted(config.id2label.items())]
    if all(name == f"LABEL_{i}" for i, name in enumerate(names)):
        raise ValueError(
            "Nothing names the relations: no split declares a `ClassLabel`, as streams after `map` and lists of rows "
            "don't, and the model's configuration has no names. Declare it (`stream.cast(features)` with "
            "`Features({..., 'label': ClassLabel(names=[...])})`), or give the model `id2label`."
        )
    return names, getattr(config, "problem_type", None) == MULTI_LABEL


def check_best_metric(arguments: TrainingArguments) -> None:
    r"""
    Refuses a `metric_for_best_model` that the package's metric does not give: `Trainer` finds out after an epoch.

    Raises:
        ValueError: The best model is wanted, by a metric of another name.
    """
    wanted = arguments.load_best_model_at_end or arguments.save_strategy == SaveStrategy.BEST
    metric = (arguments.metric_for_best_model or "loss").removeprefix("eval_")
    if wanted and metric not in METRICS:
        raise ValueError(
            f"`metric_for_best_model` is {arguments.metric_for_best_model!r}; expected {', '.join(METRICS)}. For a "
            "metric of your own pass `compute_metrics`, a function that returns it."
        )


def cuts_batches(arguments: TrainingArguments, dataset: Mapping[str, Any]) -> bool:
    """Whether accelerate will read batches in one process and cut them for all: then their rows can't share images."""
    options = arguments.accelerator_config
    if options.dispatch_batches is None:  # accelerate does so with streams
        streams = any(isinstance(rows, IterableDataset | TorchIterableDataset) for rows in dataset.values())
        return bool(options.split_batches) or streams
    return bool(options.split_batches or options.dispatch_batches)


class checked_model_init:
    r"""
    A `model_init` for `Trainer` whose models all suit what was set up for the first of them.

    Args:
        model_init: Makes a model, from a trial (`None` outside of a search) or from nothing.

    Attributes:
        config: That of the model for no trial.

    Raises:
        ValueError: It has other parameters, or makes no model; when called, a model wants something else of the data.
    """

    def __init__(self, model_init: Callable[..., PreTrainedModel]):
        self.model_init = model_init
        self.takes_trial = bool(inspect.signature(model_init).parameters)
        self.config = self._made(None).config

    def __call__(self, trial: Any) -> PreTrainedModel:
        model = self._made(trial)
        for name in _SHARED_FIELDS:
            first, now = getattr(self.config, name, None), getattr(model.config, name, None)
            if bool(first) != bool(now) if name in EXTRA_LOSSES[:-1] else first != now:
                raise ValueError(
                    f"`model_init` made a model with `{name}={now!r}`, and the data were set up for {first!r}. Search "
                    "over it with a trainer for each value."
                )
        return model

    def _made(self, trial: Any) -> PreTrainedModel:
        model = self.model_init(trial) if self.takes_trial else self.model_init()
        if not hasattr(model, "config"):
            raise ValueError(f"`model_init` made {model!r:.80}; expected a model.")
        return model

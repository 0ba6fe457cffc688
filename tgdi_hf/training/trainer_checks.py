"""Combinations of arguments that `make_trainer` refuses before a `Trainer` is created."""

from collections.abc import Callable, Mapping
from typing import Any

from datasets import Dataset, IterableDataset
from torch.utils.data import IterableDataset as TorchIterableDataset
from transformers import PreTrainedConfig, PreTrainedModel, TrainingArguments
from transformers.trainer_utils import SaveStrategy

from ..data.swapped_images import check_swapped_share
from ..modeling.negative_label import MULTI_LABEL

METRICS = ("f1", "precision", "recall", "accuracy", "loss")  # of an evaluation with the package's metric


def check_model_source(
    model: PreTrainedModel | None, model_init: Callable[..., PreTrainedModel] | None, fusion_learning_rate: float | None
) -> None:
    """Raises ValueError unless exactly one of `model` and `model_init` is given, and suits the learning rates."""
    if (model is None) == (model_init is None):
        raise ValueError("`make_trainer` requires either a `model` or, with `model=None`, a `model_init`.")
    if model_init is not None and fusion_learning_rate is not None:
        raise ValueError(
            "`fusion_learning_rate` creates an optimizer for one model, but `model_init` creates a model per run. Omit "
            "one of the two."
        )


def check_raw_columns(arguments: TrainingArguments) -> None:
    """Raises ValueError if `Trainer` would drop the columns that the collator reads."""
    if arguments.remove_unused_columns:
        raise ValueError(
            "With `remove_unused_columns=True` `Trainer` drops text, head, tail and image before the collator sees "
            "them: pass `remove_unused_columns=False` to `TrainingArguments`."
        )


def check_row_access(dataset: Mapping[str, Any], arguments: TrainingArguments, control: str | None) -> None:
    """Raises ValueError for options that require all rows of a `datasets.Dataset`, or that exclude each other."""
    by_length = arguments.train_sampling_strategy == "group_by_length"
    if by_length and control is not None:
        raise ValueError(
            "`train_sampling_strategy='group_by_length'` requires unperturbed rows; `Trainer` cannot see the lengths "
            "of rows under a control. Omit it."
        )
    others = [split for split in ("train", "validation") if not isinstance(dataset.get(split), Dataset | None)]
    if control is not None and others:
        raise ValueError(
            f"A control perturbs the rows of a `datasets.Dataset`; the split {others[0]!r} is a "
            f"{type(dataset[others[0]]).__name__}."
        )
    if by_length and "train" in others:
        raise ValueError(
            "`train_sampling_strategy='group_by_length'` requires the lengths of all rows of a `datasets.Dataset`; the "
            f"split 'train' is a {type(dataset['train']).__name__}. Omit it."
        )


def check_swapped_images(swap_images: float, arguments: TrainingArguments) -> None:
    """Raises ValueError if a share of images cannot be swapped within the batches of a training."""
    if not check_swapped_share(swap_images):
        return
    if arguments.per_device_train_batch_size < 2:
        raise ValueError(
            f"`swap_images={swap_images:g}` takes images from other rows of a batch, but "
            f"`per_device_train_batch_size` is {arguments.per_device_train_batch_size}; expected 2 or more."
        )
    if arguments.train_sampling_strategy == "group_by_length":
        raise ValueError(
            "`train_sampling_strategy='group_by_length'` requires the captions as they are; `swap_images` exchanges "
            "them. Omit one of the two."
        )


def check_extra_losses(config: PreTrainedConfig, arguments: TrainingArguments, options: Mapping[str, Any]) -> None:
    r"""
    Refuses a loss that `Trainer` computes from the logits if the model adds further terms to its own loss.

    Args:
        config: The model's configuration; its `extra_loss_fields` name the fields that add a term.
        arguments: The training arguments.
        options: Further arguments of `Trainer`.

    Raises:
        ValueError: `Trainer` would compute the loss without these terms.
    """
    extra = [name for name in getattr(config, "extra_loss_fields", ()) if getattr(config, name)]
    outside = "label_smoothing_factor" if arguments.label_smoothing_factor else "compute_loss_func"
    if extra and (arguments.label_smoothing_factor or options.get(outside) is not None):
        raise ValueError(
            f"With `{outside}` `Trainer` computes the loss itself, without the term that `{extra[0]}` adds. Omit one "
            "of the two."
        )


def check_best_metric(arguments: TrainingArguments) -> None:
    r"""
    Refuses a `metric_for_best_model` that the package's metric does not compute. `Trainer` would fail after an epoch.

    Raises:
        ValueError: The best model is selected by a metric of another name.
    """
    selected = arguments.load_best_model_at_end or arguments.save_strategy == SaveStrategy.BEST
    metric = (arguments.metric_for_best_model or "loss").removeprefix("eval_")
    if selected and metric not in METRICS:
        raise ValueError(
            f"`metric_for_best_model` is {arguments.metric_for_best_model!r}; expected {', '.join(METRICS)}. For a "
            "custom metric pass `compute_metrics`, a function that returns it."
        )


def check_optimizer_source(options: Mapping[str, Any]) -> None:
    """Raises ValueError if `fusion_learning_rate` is combined with an optimizer in the arguments of `Trainer`."""
    if {"optimizers", "optimizer_cls_and_kwargs"} & options.keys():
        raise ValueError(
            "`fusion_learning_rate` creates an optimizer, but another one is passed as well. Omit one of the two."
        )


def decision_thresholds(config: PreTrainedConfig, multi_label: bool) -> list[float] | None:
    r"""
    The decision thresholds of a multi-label model; `None` for other models.

    Raises:
        ValueError: One of model and data is multi-label and the other is not.
    """
    thresholds = getattr(config, "thresholds", None)
    if multi_label and thresholds is None:
        raise ValueError(
            f"The rows have lists of labels; build the model with `problem_type={MULTI_LABEL!r}`, not "
            f"{getattr(config, 'problem_type', None)!r}."
        )
    if thresholds is not None and not multi_label:
        raise ValueError(
            f"The model has `problem_type={MULTI_LABEL!r}`, but the rows have one label each; expected a column "
            "`label` of lists."
        )
    return thresholds


def splits_batches(arguments: TrainingArguments, dataset: Mapping[str, Any]) -> bool:
    """Whether batches are split after collation, by `nn.DataParallel` or accelerate; their rows cannot share images."""
    if arguments.n_gpu > 1:  # `Trainer` falls back on `nn.DataParallel` for several GPUs in one process
        return True
    options: Any = arguments.accelerator_config
    if options.dispatch_batches is None:  # accelerate dispatches the batches of streams
        streams = any(isinstance(rows, IterableDataset | TorchIterableDataset) for rows in dataset.values())
        return bool(options.split_batches) or streams
    return bool(options.split_batches or options.dispatch_batches)

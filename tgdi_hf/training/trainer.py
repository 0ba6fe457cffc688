"""A plain `transformers.Trainer` with the package's collator and metric."""

from collections.abc import Callable, Mapping
from typing import Any

from transformers import PreTrainedModel, Trainer, TrainingArguments
from transformers.utils import logging

from ..data.collator import TGDICollator
from ..evaluation.metric import make_compute_metrics
from ..modeling.negative_label import negative_of
from ..preparation.vision_feature_store import VisionFeatures
from ..processing.processing_tgdi import TGDIProcessor
from ..processing.processor_options import check_same_object_features
from .model_init import CheckedModelInit
from .optimizer import optimizer_for
from .trainer_checks import (
    check_best_metric,
    check_extra_losses,
    check_model_source,
    check_optimizer_source,
    check_raw_columns,
    check_row_access,
    check_swapped_images,
    decision_thresholds,
    splits_batches,
)
from .training_rows import (
    count_label_priors,
    count_tail_first_bias,
    declare_gate,
    in_trained_orders,
    ready_rows,
    relation_names,
    with_swapped_images,
)

logger = logging.get_logger(__name__)


def make_trainer(
    model: PreTrainedModel | None,
    processor: TGDIProcessor,
    dataset: Mapping[str, Any],
    arguments: TrainingArguments,
    fusion_learning_rate: float | None = None,
    vision_features: VisionFeatures | None = None,
    control: str | None = None,
    share: float = 1.0,
    model_init: Callable[..., PreTrainedModel] | None = None,
    swap_images: float = 0.0,
    trainer_class: type[Trainer] = Trainer,
    **kwargs: Any,
) -> Trainer:
    r"""
    A plain `Trainer` with the package's collator and metric.

    Args:
        model: `TGDIForRelationExtraction`, or any model with the same inputs. A model with `config.direction_balanced`
            is trained on both orders of every pair, see `with_both_orders`; `config.symmetric_relations` hold in both
            directions. For other models, `config.tail_first_bias` is counted in the training rows, and with
            `config.logit_adjustment` the frequencies of their labels (`config.label_log_priors`). `None` with
            `model_init`.
        processor: The model's processor; saved with every checkpoint.
        dataset: A mapping with the splits `train` and `validation`, both optional: datasets or streams
            (`IterableDataset`) of `datasets`, lists of rows, or PyTorch datasets. Relations are named by the
            `ClassLabel` of a split or, if no split declares one, by the model's configuration.
        arguments: From `training_arguments`, or your own with `remove_unused_columns=False`. With
            `train_sampling_strategy="group_by_length"` the tokens per row are counted here. If accelerate is told to
            split batches (`dispatch_batches`, `split_batches`), rows do not share images.
        fusion_learning_rate: See `optimizer_for`; by default the learning rate of the encoders.
        vision_features: The features of all images in the dataset, from `compute_vision_features`, for a frozen vision
            encoder.
        control: Train and validate on perturbed rows, see `PerturbedDataset`; the seed is that of the arguments.
        share: The share of rows that `control` perturbs.
        model_init: Creates a new model for every run of `Trainer.hyperparameter_search`, from a trial or without
            arguments; `None` as the trial stands for the defaults. All models must require the same data.
        swap_images: The share of training rows with an image that get the image of another post in their batch, with
            its caption and objects, and keep their label, see `SwappedImages`. The model receives `image_matches`; with
            `config.matching_loss_weight`, its gate becomes a probability (`config.gate_is_probability`). With
            both orders, the two rows of a pair are swapped independently of each other.
        trainer_class: A subclass of `Trainer` to create instead.
        kwargs: Passed to `Trainer` (`callbacks`, ...); they replace arguments of the same name that are set here
            (`compute_metrics`, `data_collator`, `optimizers`, ...).

    Raises:
        ValueError: Arguments that exclude each other, or data that does not name the relations; the message says how to
            correct it.
    """
    check_model_source(model, model_init, fusion_learning_rate)
    check_raw_columns(arguments)
    if model_init is not None:
        model_init = CheckedModelInit(model_init)
        config = model_init.config
    else:
        assert model is not None
        config = model.config
    check_same_object_features(config, processor)
    names, multi_label = relation_names(dataset, config)
    thresholds = decision_thresholds(config, multi_label)
    negative = negative_of(config, names)
    if negative is None and not multi_label:
        logger.warning("No label stands for no relation: all %d count in precision, recall and F1.", len(names))
    check_row_access(dataset, arguments, control)
    check_swapped_images(swap_images, arguments)
    check_extra_losses(config, arguments, kwargs)
    if "compute_metrics" not in kwargs:
        check_best_metric(arguments)
    if fusion_learning_rate is not None:
        assert model is not None  # not with `model_init`
        check_optimizer_source(kwargs)
        # `Trainer` creates its own optimizer unless it is given one, and refuses one under DeepSpeed or FSDP.
        kwargs["optimizers"] = (optimizer_for(model, arguments, fusion_learning_rate), None)

    rows = {split: dataset[split] for split in ("train", "validation") if split in dataset}
    if "train" in rows:
        count_tail_first_bias(rows["train"], config, names, negative)
        declare_gate(config, swap_images)
        rows["train"] = in_trained_orders(rows["train"], config, names, negative)
        count_label_priors(rows["train"], config)
    rows = {split: ready_rows(found, processor, arguments, control, share) for split, found in rows.items()}
    if swap_images and "train" in rows:
        rows["train"] = with_swapped_images(rows["train"], swap_images, arguments.seed)
    num_labels = len(names) if multi_label else None
    defaults = {
        "model": model,
        "args": arguments,
        "train_dataset": rows.get("train"),
        "eval_dataset": rows.get("validation"),
        "data_collator": TGDICollator(
            processor, not splits_batches(arguments, dataset), vision_features, num_labels=num_labels
        ),
        "processing_class": processor,
        "compute_metrics": make_compute_metrics(names, negative, thresholds=thresholds),
        "model_init": model_init,
    }
    return trainer_class(**{**defaults, **kwargs})

"""Fine-tuning: thin functions over `transformers.Trainer`."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, DatasetDict
from transformers import PreTrainedModel, Trainer, TrainingArguments, set_seed
from transformers.utils import logging

from ..checkpoints import HUB_OPTIONS, hub_access
from ..data.collator import TGDICollator
from ..data.dataset_columns import texts_of, undecoded
from ..data.entity_order import count_inverses, with_both_orders
from ..data.image_identity import digest_of
from ..data.labels import label_names
from ..data.perturbed import PerturbedDataset
from ..evaluation.metric import make_compute_metrics
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..modeling.negative_label import AUTO, MULTI_LABEL, NEGATIVE, find_negative, negative_of
from ..preparation.vision_feature_store import VisionFeatures
from ..preparation.vision_features import compute_model_features
from ..processing.processing_tgdi import TGDIProcessor
from .trainer_setup import EXTRA_LOSSES, check_best_metric, checked_model_init, cuts_batches, relation_names

logger = logging.get_logger(__name__)

# What may differ when a run goes on.
RESUMABLE_ARGUMENTS = ("report_to", "logging_steps", "dataloader_num_workers", "save_total_limit", "disable_tqdm")


def training_arguments(output_dir: str | Path, **overrides: Any) -> TrainingArguments:
    r"""
    The package's fine-tuning recipe; every field of `TrainingArguments` can be overridden.

    AdamW with linear decay after 10 % warm-up, evaluation and a checkpoint after every epoch, the best model by
    validation micro-F1.
    """
    recipe = dict(
        per_device_train_batch_size=16,
        per_device_eval_batch_size=64,
        learning_rate=3e-5,
        weight_decay=0.01,
        warmup_steps=0.1,
        num_train_epochs=6,
        eval_strategy="epoch",
        save_strategy="epoch",
        # With the best one; of two, one is complete whenever a run is killed.
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="f1",
        greater_is_better=True,
        logging_steps=50,
        seed=0,
        dataloader_num_workers=2,
        # The collator needs the raw columns.
        remove_unused_columns=False,
        # Without an accelerator transformers wants to hear that the CPU is meant before it allows bf16.
        use_cpu=not torch.accelerator.is_available(),
        # A batch of shared images can't be cut for other processes: each reads its own rows of a stream.
        accelerator_config={"dispatch_batches": False},
    )
    return TrainingArguments(output_dir=str(output_dir), **{**recipe, **overrides})


def optimizer_for(
    model: PreTrainedModel, arguments: TrainingArguments, fusion_learning_rate: float
) -> torch.optim.Optimizer:
    r"""
    The optimizer that `Trainer` would make, but with its own learning rate for what starts from random weights.

    Args:
        model: `TGDIForRelationExtraction`.
        arguments: Give the kind of optimizer (`optim`), the learning rate of the encoders and of the text-oriented
            interaction, which starts from the text encoder, and the weight decay, of which biases and norms are free.
        fusion_learning_rate: Learning rate of everything else.

    Raises:
        ValueError: The kind of optimizer forms its own groups of parameters.
    """
    pretrained = ("text_encoder.", "vision_tower.", "text_oriented.")
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            from_pretrained = any(part in name for part in pretrained)
            rate = arguments.learning_rate if from_pretrained else fusion_learning_rate
            decay = arguments.weight_decay if parameter.dim() > 1 else 0.0
            groups.setdefault((rate, decay), []).append(parameter)
    optimizer_class, options = Trainer.get_optimizer_cls_and_kwargs(arguments, model)
    if {"params", "model", "optimizer_dict"} & options.keys():
        raise ValueError(
            f"`optim={str(arguments.optim)!r}` forms its own groups of parameters, so a learning rate for some of them "
            "can't be set. Leave out `fusion_learning_rate`, or take another optimizer, such as 'adamw_torch'."
        )
    return optimizer_class(
        [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()], **options
    )


def token_counts(dataset: Dataset, processor: TGDIProcessor) -> list[int]:
    r"""
    How many tokens the text and, if it is read, the caption of every row have: what `Trainer` needs for batches of like
    length (`train_sampling_strategy="group_by_length"`), which hold less padding.
    """

    def count(texts: list[str]) -> list[int]:
        parts = (texts[start : start + 1000] for start in range(0, len(texts), 1000))
        found = (processor.tokenizer(part, add_special_tokens=False)["input_ids"] for part in parts)
        return [len(tokens) for part in found for tokens in part]

    counts = count(texts_of(dataset))
    if processor.use_caption and "caption" in dataset.column_names:
        counts = [sum(both) for both in zip(counts, count([caption or "" for caption in dataset["caption"]]))]
    return counts


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
    **kwargs: Any,
) -> Trainer:
    r"""
    A plain `Trainer` with the package's collator and metric.

    Args:
        model: `TGDIForRelationExtraction`, or anything with the same inputs. One with `config.direction_balanced` is
            trained on both orders of every pair, see `with_both_orders`; `config.symmetric_relations` hold both ways.
            `None` with `model_init`.
        processor: The model's processor; saved with every checkpoint.
        dataset: Splits `train` and `validation` are used where they exist: of `datasets`, streams (`IterableDataset`)
            included, lists of rows, or datasets of torch. Relations are named by the `ClassLabel` of a split, or if no
            split declares one by the model's configuration.
        arguments: From `training_arguments`, or your own with `remove_unused_columns=False`. With
            `train_sampling_strategy="group_by_length"` the lengths are counted here. Where accelerate is told to cut
            batches (`dispatch_batches`, `split_batches`), every row has its own images.
        fusion_learning_rate: See `optimizer_for`; that of the encoders by default.
        vision_features: Of all images in the dataset, from `compute_vision_features`, for a frozen vision encoder.
        control, share: Train and validate on changed rows, see `PerturbedDataset`; drawn with the arguments' seed.
        model_init: Makes a new model for every run of `Trainer.hyperparameter_search`, from a trial or from nothing;
            `None` as the trial stands for the defaults. All have to want the same of the data.
        kwargs: Passed to `Trainer` (`callbacks`, ...), in place of what is made here where it is the same argument
            (`compute_metrics`, `data_collator`, `optimizers`, ...).

    Raises:
        ValueError: What can't go together, or data that say nothing of the relations; the message names the fix.
    """
    if (model is None) == (model_init is None):
        raise ValueError("`make_trainer` needs either a `model` or, with `model=None`, a `model_init`.")
    if arguments.remove_unused_columns:
        raise ValueError(
            "With `remove_unused_columns=True` `Trainer` drops text, head, tail and image before the collator sees "
            "them: pass `remove_unused_columns=False` to `TrainingArguments`."
        )
    if model_init is not None:
        if fusion_learning_rate is not None:
            raise ValueError(
                "`fusion_learning_rate` makes an optimizer for one model, and `model_init` a model for every run. "
                "Leave out one of the two."
            )
        model_init = checked_model_init(model_init)
    model_config = (model_init or model).config
    names, multi_label = relation_names(dataset, model_config)
    thresholds = _thresholds_of(model_config, multi_label)
    negative = negative_of(model_config, names)
    if negative is None and not multi_label:
        logger.warning("No label stands for no relation: all %d count in precision, recall and F1.", len(names))

    both_orders = getattr(model_config, "direction_balanced", False)
    by_length = arguments.train_sampling_strategy == "group_by_length"
    if by_length and control is not None:
        raise ValueError(
            "`train_sampling_strategy='group_by_length'` is for rows as they are; `Trainer` can't see the lengths of "
            "rows under a control. Leave it out."
        )
    others = [split for split in ("train", "validation") if not isinstance(dataset.get(split), Dataset | None)]
    if control is not None and others:
        raise ValueError(
            f"A control changes the rows of a `datasets.Dataset`; the split {others[0]!r} is a "
            f"{type(dataset[others[0]]).__name__}."
        )
    if by_length and "train" in others:
        raise ValueError(
            "`train_sampling_strategy='group_by_length'` needs the lengths of all rows of a `datasets.Dataset`; the "
            f"split 'train' is a {type(dataset['train']).__name__}. Leave it out."
        )
    extra = [name for name in EXTRA_LOSSES if getattr(model_config, name, 0)]
    outside = "label_smoothing_factor" if arguments.label_smoothing_factor else "compute_loss_func"
    if extra and (arguments.label_smoothing_factor or kwargs.get(outside) is not None):
        raise ValueError(
            f"With `{outside}` `Trainer` computes the loss by itself, without what `{extra[0]}` adds. Leave out one of "
            "the two."
        )

    def rows(split: str):
        if split not in dataset:
            return None
        found, column = dataset[split], arguments.length_column_name
        if split == "train" and both_orders:
            symmetric = getattr(model_config, "symmetric_relations", None)
            inverse_labels = getattr(model_config, "inverse_labels", 0)
            if inverse_labels:
                known = [name for _, name in sorted(model_config.id2label.items())]
                expected = count_inverses(names, symmetric, negative)
                if known != names or inverse_labels != expected:
                    raise ValueError(
                        f"The model knows the relations {', '.join(known)}, and {inverse_labels} from tail to head; "
                        f"the data has {', '.join(names)}, of which {expected} hold in one direction only. Build a "
                        f"model for these, with `inverse_labels={expected}`."
                    )
            found = with_both_orders(found, symmetric, inverses=inverse_labels > 0, negative=negative)
        if control is not None:
            return PerturbedDataset(found, control, share, arguments.seed)
        found = undecoded(found)
        if by_length and isinstance(found, Dataset) and column not in found.column_names:
            found = found.add_column(column, token_counts(found, processor))
        return found

    # `Trainer` falls back on `nn.DataParallel`, which cuts batches, for several GPUs in one process.
    cuts = arguments.n_gpu > 1 or cuts_batches(arguments, dataset)
    if "compute_metrics" not in kwargs:
        check_best_metric(arguments)
    if fusion_learning_rate is not None:
        if {"optimizers", "optimizer_cls_and_kwargs"} & kwargs.keys():
            raise ValueError(
                "`fusion_learning_rate` makes an optimizer, and another one is passed. Leave out one of the two."
            )
        # Trainer makes its own optimizer unless it is given one, and refuses one under DeepSpeed or FSDP.
        kwargs["optimizers"] = (optimizer_for(model, arguments, fusion_learning_rate), None)
    of_trainer = {
        "model": model,
        "args": arguments,
        "train_dataset": rows("train"),
        "eval_dataset": rows("validation"),
        "data_collator": TGDICollator(
            processor, not cuts, vision_features, num_labels=len(names) if multi_label else None
        ),
        "processing_class": processor,
        "compute_metrics": make_compute_metrics(names, negative, thresholds=thresholds),
        "model_init": model_init,
    }
    return Trainer(**{**of_trainer, **kwargs})


def _thresholds_of(config: Any, multi_label: bool) -> list[float] | None:
    """Of a multi-label model; refuses one of the other kind than the data."""
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


def with_label_fields(names: Sequence[str], config: Mapping[str, Any], multi_label: bool = False) -> dict[str, Any]:
    r"""
    Fields of a configuration, and those that follow from the labels, unless they are set: `negative_label`, of data
    with several labels per row `problem_type`, and with `direction_balanced` `inverse_labels`.

    Raises:
        ValueError: It can't be told which label stands for no relation, see `find_negative`.
    """
    config = {**({"problem_type": MULTI_LABEL} if multi_label else {}), **config}
    if config.get("problem_type") == MULTI_LABEL:
        config.pop("negative_label", None)  # dropped from the rows, whose other labels a model has
        return config
    negative = find_negative(names, config.get("negative_label", AUTO))
    if negative != NEGATIVE:  # the default
        config["negative_label"] = negative
    if config.get("direction_balanced"):
        config.setdefault("inverse_labels", count_inverses(names, config.get("symmetric_relations"), negative))
    return config


def build_model(
    names: list[str],
    text_model: str,
    vision_model: str,
    *,
    use_caption: bool = True,
    freeze_vision: bool = True,
    max_length: int | None = None,
    text_revision: str | None = None,
    vision_revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    **config: Any,
) -> tuple[TGDIForRelationExtraction, TGDIProcessor]:
    r"""
    A model ready for fine-tuning, from two pretrained encoders, and its processor.

    Args:
        names: The relations, in the order of their ids.
        text_model: Text encoder, a name on the Hub or a folder.
        vision_model: Vision encoder with its image processor, likewise.
        use_caption: Whether the processor appends captions to the text.
        freeze_vision: Whether the vision encoder keeps its weights.
        max_length: Longest text with caption, in tokens; the tokenizer's own limit by default.
        text_revision, vision_revision: Branch, tag or commit of the one or the other encoder on the Hub. Weights,
            configuration, tokenizer and image processor come from one commit each, which the configuration of the model
            records.
        token, cache_dir, local_files_only: See `hub_access`.
        config: Fields of `TGDIConfig`. With `direction_balanced` the model learns relations from tail to head, too
            (`inverse_labels`), unless that is 0.

    Raises:
        ValueError: No label is called `"None"`, and one has a name that usually means the same: say what it is with
            `negative_label`.
    """
    config = with_label_fields(names, config)
    hub = {"token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
    loading = {
        "text_kwargs": hub_access(text_model, text_revision, **hub)[0],
        "vision_kwargs": hub_access(vision_model, vision_revision, **hub)[0],
    }
    processor = TGDIProcessor.from_text_vision_pretrained(
        text_model,
        vision_model,
        **loading,
        num_objects=config.get("num_objects", 3),
        use_caption=use_caption,
        max_length=max_length,
    )
    model = TGDIForRelationExtraction.from_text_vision_pretrained(
        text_model,
        vision_model,
        tokenizer=processor.tokenizer,
        id2label=dict(enumerate(names)),
        label2id={name: i for i, name in enumerate(names)},
        **loading,
        **config,
    )
    if freeze_vision:
        model.freeze_vision_encoder()
    return model, processor


def last_checkpoint(folder: str | Path) -> str | None:
    r"""
    The newest complete checkpoint that `Trainer` left in a folder, or `None`.

    A run that was killed while it saved leaves a checkpoint without the trainer's state, which is written last; that
    one can't be resumed from, the one before it can.
    """
    complete = []
    for state in Path(folder).glob("checkpoint-*/trainer_state.json"):
        try:
            complete.append((json.loads(state.read_text(encoding="utf-8"))["global_step"], str(state.parent)))
        except json.JSONDecodeError:  # killed while writing the state itself
            continue
    return max(complete)[1] if complete else None


def claim(folder: str | Path, identity: Mapping[str, Any]) -> None:
    r"""
    Writes down, in `run.json`, what is trained in a folder.

    Args:
        folder: For checkpoints.
        identity: Whatever makes this run another one than others; plain JSON.

    Raises:
        ValueError: The folder has checkpoints of another run, which nobody could tell from those of this one.
    """
    file, said = Path(folder, "run.json"), json.loads(json.dumps(identity))
    found = json.loads(file.read_text(encoding="utf-8")) if file.exists() else None
    # What an older version did not write down is nothing that differs, if there is nothing to say of it now.
    differs = [name for name in {**said, **(found or {})} if found is None or found.get(name) != said.get(name)]
    if differs and last_checkpoint(folder) is not None:
        raise ValueError(
            f"{folder} has checkpoints of a run with another {' and '.join(differs)}. Go on with that one as it was "
            "started, train in another folder, or delete them."
        )
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(said, indent=2) + "\n", encoding="utf-8")


def control_of(folder: str | Path) -> str | None:
    """What control a model in a folder was trained under, if any and if the folder says it (`run.json`)."""
    file = Path(folder, "run.json")
    said = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    if said.get("control") is None:
        return None
    return f"the control {said['control']}, on {100 * said['share']:g} % of the rows that it can change"


def digest_of_rows(dataset: Dataset) -> str:
    """Names rows by all that a model is shown of them; an image by what is in it, or by the name of its file."""

    def named(part: Any) -> Any:
        if not isinstance(part, Mapping):
            return part
        return Path(part["path"]).name if part.get("bytes") is None else digest_of(part["bytes"])

    shown = ("text", "words", "head", "tail", "caption", "image", "objects", "label")
    found = hashlib.sha256()
    for row in undecoded(dataset).select_columns([name for name in shown if name in dataset.column_names]):
        objects = row.get("objects")
        parts = {"image": named(row.get("image")), "objects": objects and [named(part) for part in objects]}
        found.update(json.dumps({**row, **parts}, ensure_ascii=False).encode())
    return found.hexdigest()[:32]


def fine_tune(
    dataset: DatasetDict,
    output_dir: str | Path,
    text_model: str = "bert-base-uncased",
    vision_model: str = "openai/clip-vit-base-patch32",
    *,
    seed: int = 0,
    resume: bool = False,
    fusion_learning_rate: float | None = None,
    vision_features: str | Path | None = None,
    features_dtype: str = "float16",
    model_options: dict[str, Any] | None = None,
    control: str | None = None,
    share: float = 1.0,
    text_revision: str | None = None,
    vision_revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    **arguments: Any,
) -> dict[str, float]:
    r"""
    Fine-tunes TGDI and leaves the model that is best on validation, with its processor, in `output_dir`.

    Args:
        dataset: With splits `train` and `validation`.
        output_dir: Where checkpoints, the final model and `all_results.json` go.
        text_model, vision_model: The pretrained encoders, names on the Hub or folders.
        seed: Seeds the new weights, the order of the rows and dropout.
        resume: Go on from the last checkpoint in `output_dir`, if there is one.
        fusion_learning_rate: See `make_trainer`.
        vision_features: Folder to compute the frozen vision encoder's features in, once, and to train from.
        features_dtype: Of those features, see `compute_vision_features`.
        model_options: Passed to `build_model`: fields of `TGDIConfig`, `use_caption`, `freeze_vision`, `max_length`.
        control, share: See `make_trainer`.
        text_revision, vision_revision: Branch, tag or commit of the one or the other encoder on the Hub. `run.json`
            names the commits, and a run is resumed with the same ones only.
        token, cache_dir, local_files_only: See `hub_access`; no part of `run.json`.
        arguments: Fields of `TrainingArguments` (`num_train_epochs`, `learning_rate`, `bf16`, ...).

    Returns:
        The validation metrics of the best epoch.

    Raises:
        ValueError: The checkpoints in `output_dir` are those of another model, other rows or another recipe; kept
            features, and a control that draws images; or a revision of a folder.
    """
    if misplaced := {"text_revision", "vision_revision", *HUB_OPTIONS} & set(model_options or {}):
        raise ValueError(
            f"`model_options` has {', '.join(sorted(misplaced))}; pass it as an argument of `fine_tune`, since the "
            "options of the model are written to run.json."
        )
    hub = {"token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
    text_access, text_commit = hub_access(text_model, text_revision, **hub)
    vision_access, vision_commit = hub_access(vision_model, vision_revision, **hub)
    names, multi_label = label_names(dataset)
    model_options = with_label_fields(names, model_options or {}, multi_label)
    identity = {
        "text_model": str(text_model),
        "vision_model": str(vision_model),
        "text_revision": text_commit or text_revision,
        "vision_revision": vision_commit or vision_revision,
        "model_options": model_options,
        "seed": seed,
        "fusion_learning_rate": fusion_learning_rate,
        "control": control,
        "share": share,
        "train_rows": len(dataset["train"]),
        "train_digest": digest_of_rows(dataset["train"]),
        **{name: value for name, value in arguments.items() if name not in RESUMABLE_ARGUMENTS},
    }
    if vision_features is not None and control in ("blank-images", "noise-images"):
        raise ValueError(
            f"The control {control!r} draws images, of which no features are kept: leave out `vision_features`."
        )
    claim(output_dir, identity)
    set_seed(seed)
    revisions = {"text_revision": text_access.get("revision"), "vision_revision": vision_access.get("revision")}
    model, processor = build_model(names, text_model, vision_model, **revisions, **hub, **model_options)
    training = training_arguments(output_dir, seed=seed, **arguments)
    features = None
    if vision_features is not None:
        features = compute_model_features(model, processor, dataset, vision_features, features_dtype, training.device)
    trainer = make_trainer(model, processor, dataset, training, fusion_learning_rate, features, control, share)
    checkpoint = last_checkpoint(output_dir) if resume else None
    train_metrics = trainer.train(resume_from_checkpoint=checkpoint).metrics
    metrics = trainer.evaluate()
    trainer.save_model()
    trainer.save_state()
    trainer.save_metrics("all", {**train_metrics, **metrics})
    return metrics

"""Fine-tuning from pretrained encoders to a saved model, in one call."""

from pathlib import Path
from typing import Any

from datasets import DatasetDict
from transformers import set_seed

from ..evaluation.gate_reliability import gate_reliability
from ..modeling.configuration_presets import preset_fields
from ..modeling.modeling_tgdi import TGDIForRelationExtraction
from ..preparation.vision_features import compute_model_features
from .batch_size import resume_batch_size, train_within_memory
from .early_stopping import early_stopping_options
from .recipe import training_arguments
from .reporting import check_report_to
from .resumed_state import locate_best, restore_state, saved_results, state_of
from .run_record import RESUMABLE_ARGUMENTS, check_same_defaults, claim, digest_of_rows, last_checkpoint
from .run_setup import check_splits, run_setup
from .trainer import make_trainer
from .training_record import record_training


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
    swap_images: float | None = None,
    early_stopping: int | None = None,
    auto_batch_size: bool = False,
    text_revision: str | None = None,
    vision_revision: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | Path | None = None,
    local_files_only: bool = False,
    **arguments: Any,
) -> dict[str, float]:
    r"""
    Fine-tunes TGDI and saves the best model by validation F1, with its processor, to `output_dir`.

    Args:
        dataset: Rows of the splits `train` and `validation`.
        output_dir: Folder for checkpoints, the final model, `run.json`, `all_results.json` and `training.json`.
        text_model: The pretrained text encoder, a name on the Hub or a folder.
        vision_model: The pretrained vision encoder, a name on the Hub or a folder.
        seed: Seed of new weights, the order of rows, dropout, `control` and `swap_images`.
        resume: Whether to resume from the last checkpoint in `output_dir`, if one exists.
        fusion_learning_rate: See `make_trainer`.
        vision_features: Folder for the features of the frozen vision encoder, which are computed once and trained from.
        features_dtype: Data type of these features, see `compute_vision_features`.
        model_options: Passed to `build_model`: fields of `TGDIConfig`, `use_caption`, `freeze_vision`, `max_length`,
            `image_resize`, `object_resize`, `preset`.
        control: See `make_trainer`.
        share: See `make_trainer`.
        swap_images: See `make_trainer`. By default 0.1 with the preset `"application"`, and 0 otherwise.
        early_stopping: Stop after this number of epochs without a better validation F1. By default all epochs are run.
        auto_batch_size: Whether to halve the batches when memory runs out, see `train_within_memory`; those of
            evaluations, too.
        text_revision: Branch, tag or commit of the text encoder on the Hub. `run.json` records the commit, and a run is
            only resumed with the same one.
        vision_revision: Branch, tag or commit of the vision encoder on the Hub, likewise.
        token: See `hub_access`; not recorded in `run.json`.
        cache_dir: See `hub_access`; not recorded in `run.json`.
        local_files_only: See `hub_access`; not recorded in `run.json`.
        arguments: Fields of `TrainingArguments` (`num_train_epochs`, `learning_rate`, `bf16`, `report_to`, ...).

    Returns:
        The validation metrics of the best epoch; with `auto_batch_size` also `train_batch_size`, the rows per batch;
        with swapped images and a matching loss also `eval_gate_ece` and `eval_gate_auroc`, see `gate_reliability`.

    Raises:
        ValueError: The split `train` or `validation` is missing or empty; the checkpoints in `output_dir` are from a
            run with another model, other rows or another recipe, or this package had other defaults when they were
            trained; the best one of them is missing; `vision_features` is combined with a control that draws images; a
            local folder has a revision; or see `check_report_to` and `train_within_memory`.
        ImportError: A tracker in `report_to` is not installed.
    """
    check_report_to(arguments.get("report_to", "none"))
    check_splits(dataset)
    hub: dict[str, Any] = {"token": token, "cache_dir": cache_dir, "local_files_only": local_files_only}
    setup = run_setup(
        dataset, text_model, vision_model, model_options, swap_images, text_revision, vision_revision, hub, "fine_tune"
    )
    identity = {
        **setup.recorded,
        "seed": seed,
        "fusion_learning_rate": fusion_learning_rate,
        "control": control,
        "share": share,
        "early_stopping": early_stopping,
        "auto_batch_size": auto_batch_size or None,
        "train_rows": len(dataset["train"]),
        "train_digest": digest_of_rows(dataset["train"]),
        "validation_digest": digest_of_rows(dataset["validation"]),
        **{name: value for name, value in arguments.items() if name not in RESUMABLE_ARGUMENTS},
    }
    if vision_features is not None and control in ("blank-images", "noise-images"):
        raise ValueError(
            f"The control {control!r} draws new images, for which `vision_features` has no features: omit "
            "`vision_features`."
        )
    stopping = early_stopping_options(early_stopping, arguments)
    claim(output_dir, identity)

    def run(**batches: int) -> dict[str, float]:
        set_seed(seed)
        model, processor = setup.build()
        checkpoint = last_checkpoint(output_dir) if resume else None
        if checkpoint is not None:
            check_same_defaults(checkpoint, model.config, processor)
        before = None if checkpoint is None else locate_best(checkpoint)
        stopped = before is not None and stopping.has_stopped(before)
        if before is not None and stopped:
            model = TGDIForRelationExtraction.from_pretrained(str(before.best_model_checkpoint))
        training = training_arguments(output_dir, seed=seed, **{**arguments, **batches}, **stopping.arguments)
        features = None
        if vision_features is not None:
            features = compute_model_features(
                model, processor, dataset, vision_features, features_dtype, training.device
            )
        trainer = make_trainer(
            model, processor, dataset, training, fusion_learning_rate, features, control, share,
            swap_images=setup.swap_images, callbacks=stopping.callbacks(),
        )  # fmt: skip
        if before is not None and stopped:
            restore_state(trainer, before)
        else:
            train_metrics = trainer.train(resume_from_checkpoint=checkpoint).metrics
        if before is not None and trainer.state.global_step == before.global_step:
            train_metrics = saved_results(output_dir)  # `Trainer` gives those of no steps
        metrics = trainer.evaluate()
        if model.config.gate_is_probability:
            gate = gate_reliability(trainer.model, processor, dataset["validation"], seed, vision_features=features)
            if gate is not None:
                model.config.gate_calibration_error = gate["ece"]
                metrics |= {"eval_gate_ece": gate["ece"], "eval_gate_auroc": gate["auroc"]}
        metrics |= {"train_batch_size": batches["per_device_train_batch_size"]} if batches else {}
        trainer.save_model()
        trainer.save_state()
        trainer.save_metrics("all", {**train_metrics, **metrics})
        record_training(trainer, output_dir, None if checkpoint else train_metrics["train_runtime"])
        return metrics

    if not auto_batch_size:
        return run()
    first = training_arguments(output_dir, seed=seed, **arguments)
    checkpoint = last_checkpoint(output_dir) if resume else None
    eval_size = first.per_device_eval_batch_size / first.per_device_train_batch_size
    if checkpoint is not None:
        resume_batch_size(first, state_of(checkpoint).train_batch_size)
    options = {**preset_fields(setup.model_options.get("preset", "default")), **setup.model_options}
    return train_within_memory(
        lambda size, steps: run(
            per_device_train_batch_size=size,
            gradient_accumulation_steps=steps,
            per_device_eval_batch_size=max(1, int(eval_size * size)),
        ),
        first,
        # A row by itself has no image of another row.
        smallest=2 if setup.swap_images or options.get("matching_loss_weight") else 1,
    )

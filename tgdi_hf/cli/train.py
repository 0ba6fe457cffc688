"""`tgdi train`."""

from pathlib import Path
from typing import Annotated

import typer

from .arguments import check_share, config_fields, negative_label
from .messages import print_scores
from .options import (
    BF16,
    BothOrders,
    CacheDir,
    Caption,
    Control,
    Data,
    FeaturesDtype,
    FreezeVision,
    ImageResize,
    KeptFeatures,
    LocalFilesOnly,
    Negative,
    NoNegative,
    ObjectResize,
    Objects,
    Preset,
    ReadObjects,
    Revision,
    Share,
    Strict,
    SwapImages,
    Symmetric,
    TextModel,
    TrainBatchSize,
    VisionModel,
    Warmup,
    WeightDecay,
    image_options,
    order_options,
    schedule_options,
)


def train(
    data: Data,
    output: Annotated[Path, typer.Argument(help="Folder for checkpoints and the final model.")],
    text_model: TextModel = "bert-base-uncased",
    vision_model: VisionModel = "openai/clip-vit-base-patch32",
    text_revision: Revision = None,
    vision_revision: Revision = None,
    cache_dir: CacheDir = None,
    local_files_only: LocalFilesOnly = False,
    epochs: Annotated[float, typer.Option(min=0.0)] = 6,
    learning_rate: Annotated[float, typer.Option(min=0.0)] = 3e-5,
    fusion_learning_rate: Annotated[
        float | None,
        typer.Option(help="Learning rate of randomly initialised modules.", show_default="--learning-rate"),
    ] = None,
    warmup: Warmup = None,
    weight_decay: WeightDecay = None,
    batch_size: TrainBatchSize = 16,
    seed: int = 0,
    preset: Annotated[
        Preset,
        typer.Option(
            help="'paper' follows every formula of the paper to the letter, and squashes images. 'application' is for "
            "posts whose images may be irrelevant and whose entities have no given order: both orders, swapped images, "
            "and a gate that learns to detect them."
        ),
    ] = Preset.default,
    caption: Caption = True,
    freeze_vision: FreezeVision = True,
    image_resize: ImageResize = None,
    object_resize: ObjectResize = None,
    object_features: ReadObjects = None,
    both_orders: BothOrders = None,
    symmetric: Symmetric = [],  # noqa: B006 - typer copies it
    control: Control = None,
    share: Share = 1.0,
    swap_images: SwapImages = None,
    objects: Objects = "none",
    strict: Strict = True,
    negative: Negative = None,
    no_negative: NoNegative = False,
    vision_features: KeptFeatures = None,
    features_dtype: FeaturesDtype = "float16",
    bf16: BF16 = False,
    resume: Annotated[bool, typer.Option("--resume", help="Resume from the last checkpoint in OUTPUT.")] = False,
    report_to: Annotated[
        list[str],
        typer.Option(
            metavar="TRACKER",
            help="Report to an experiment tracker (trackio, wandb, tensorboard, mlflow, ...); may be repeated.",
            show_default="none",
        ),
    ] = [],  # noqa: B006 - typer copies it
    early_stopping: Annotated[
        int | None,
        typer.Option(min=1, metavar="EPOCHS", help="Stop after so many epochs without a better validation F1."),
    ] = None,
    auto_batch_size: Annotated[
        bool,
        typer.Option(
            "--auto-batch-size",
            help="When memory runs out, start again with half of --batch-size and twice the batches per step.",
        ),
    ] = False,
    logit_adjustment: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            help="Strength of the correction for frequent labels, such as the one for no relation; 1 balances them.",
            show_default="0",
        ),
    ] = None,
    set_: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="Set a field of TGDIConfig; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Fine-tune on a folder of posts; OUTPUT receives the model with the best validation score.

    For gated or private encoders log in with `hf auth login`, or set HF_TOKEN; never pass a token on the command line.

    Example: tgdi train path/to/mnre runs/mnre --epochs 6 --bf16
    """
    from ..data.loading import load_data
    from ..training.fine_tuning import fine_tune
    from ..training.reporting import check_report_to

    trackers = check_report_to(report_to)
    orders = order_options(preset, both_orders, symmetric)
    check_share(control, share)
    chosen = negative_label(negative, no_negative)
    dataset = load_data(data, objects=objects, strict=strict, negative=chosen)
    metrics = fine_tune(
        dataset,
        output,
        text_model,
        vision_model,
        seed=seed,
        resume=resume,
        fusion_learning_rate=fusion_learning_rate,
        vision_features=vision_features,
        features_dtype=features_dtype,
        control=control,
        share=share,
        swap_images=swap_images,
        early_stopping=early_stopping,
        auto_batch_size=auto_batch_size,
        text_revision=text_revision,
        vision_revision=vision_revision,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        model_options={
            "use_caption": caption,
            "preset": preset.value,
            "freeze_vision": freeze_vision,
            **image_options(image_resize, object_resize, object_features),
            **orders,
            **({} if chosen == "auto" else {"negative_label": chosen}),
            **({} if logit_adjustment is None else {"logit_adjustment": logit_adjustment}),
            **config_fields(set_),
        },
        num_train_epochs=epochs,
        learning_rate=learning_rate,
        **schedule_options(warmup, weight_decay),
        per_device_train_batch_size=batch_size,
        bf16=bf16,
        report_to=trackers or "none",
    )
    print_scores(metrics, "validation", len(dataset["validation"]))
    typer.echo(f"Saved the model to {output}")

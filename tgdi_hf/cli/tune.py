"""`tgdi tune`."""

import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from .arguments import config_fields, negative_label
from .messages import counted, print_scores
from .options import (
    BF16,
    BothOrders,
    CacheDir,
    Caption,
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
    Strict,
    SwapImages,
    Symmetric,
    TextModel,
    TrainBatchSize,
    VisionModel,
    image_options,
    order_options,
)

# Arguments and options that `tgdi train` does not have, or has with another value.
OWN = ("data", "output", "trials", "minutes")
SPELLED = {"warmup_steps": "--warmup"}
OPTIONS = ("learning_rate", "fusion_learning_rate", "warmup_steps", "weight_decay")


def tune(
    context: typer.Context,
    data: Data,
    output: Annotated[Path, typer.Argument(help="Folder for the study and for best.json; resumed if it has a study.")],
    trials: Annotated[int, typer.Option(min=1, help="Trials of the whole study, resumed ones included.")] = 20,
    minutes: Annotated[
        float | None,
        typer.Option(min=0.0, help="Start no trial later than this after the first.", show_default="no limit"),
    ] = None,
    text_model: TextModel = "bert-base-uncased",
    vision_model: VisionModel = "openai/clip-vit-base-patch32",
    text_revision: Revision = None,
    vision_revision: Revision = None,
    cache_dir: CacheDir = None,
    local_files_only: LocalFilesOnly = False,
    epochs: Annotated[float, typer.Option(min=0.0, help="Epochs of every trial.")] = 6,
    batch_size: TrainBatchSize = 16,
    seed: Annotated[int, typer.Option(help="Seed of every trial and of the sampler.")] = 0,
    preset: Annotated[Preset, typer.Option(help="See `tgdi train`.")] = Preset.default,
    caption: Caption = True,
    freeze_vision: FreezeVision = True,
    image_resize: ImageResize = None,
    object_resize: ObjectResize = None,
    object_features: ReadObjects = None,
    both_orders: BothOrders = None,
    symmetric: Symmetric = [],  # noqa: B006 - typer copies it
    swap_images: SwapImages = None,
    objects: Objects = "none",
    strict: Strict = True,
    negative: Negative = None,
    no_negative: NoNegative = False,
    vision_features: KeptFeatures = None,
    features_dtype: FeaturesDtype = "float16",
    bf16: BF16 = False,
    set_: Annotated[
        list[str],
        typer.Option("--set", metavar="NAME=VALUE", help="Set a field of TGDIConfig, which is then not searched."),
    ] = [],  # noqa: B006 - typer copies it
) -> None:
    """Search hyperparameters by F1 on the validation split, and print the command that trains with the best.

    Searched are the two learning rates, warm-up, weight decay, λ of Eq. 14 and the dropout of the text encoder.
    The test split is never read. The same command resumes the search. Requires the extra `tune`.

    Example: tgdi tune path/to/mnre runs/search --trials 2 --epochs 1
    """
    from ..data.loading import load_data
    from ..extras import require
    from ..training.tuning import tune as search

    require("optuna", "tune", "`tgdi tune`")
    orders = order_options(preset, both_orders, symmetric)
    chosen = negative_label(negative, no_negative)
    dataset = load_data(data, objects=objects, strict=strict, negative=chosen)
    given = _given_options(context)
    best = search(
        dataset,
        output,
        text_model,
        vision_model,
        trials=trials,
        minutes=minutes,
        seed=seed,
        vision_features=vision_features,
        features_dtype=features_dtype,
        swap_images=swap_images,
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
            **config_fields(set_),
        },
        command=lambda settings: shlex.join(
            ["tgdi", "train", str(data), str(output / "best"), *given, *_options(settings)]
        ),
        num_train_epochs=epochs,
        per_device_train_batch_size=batch_size,
        bf16=bf16,
        report_to="none",
    )
    counts = ", ".join(f"{number} {state}" for state, number in best["trials"].items())
    typer.echo(f"{counted(sum(best['trials'].values()), 'trial')}: {counts}. The best is trial {best['trial']}.")
    print_scores(best["validation"], "validation", len(dataset["validation"]))
    if best["first_trial_f1"] is not None:
        typer.echo(f"F1 of the first trial, the recipe of `tgdi train`: {100 * best['first_trial_f1']:.2f}")
    typer.echo(f"Wrote {output / 'best.json'}. Train with the best settings:\n{best['command']}")


def _given_options(context: typer.Context) -> list[str]:
    """The options of the command line that `tgdi train` shares."""
    words: list[str] = []
    for parameter in context.command.params:
        name = parameter.name or ""
        source = context.get_parameter_source(name)
        if name in OWN or source is None or source.name != "COMMANDLINE":
            continue
        value: Any = context.params[name]
        if getattr(parameter, "is_flag", False):
            words.append(parameter.opts[0] if value else parameter.secondary_opts[0])
            continue
        for one in value if isinstance(value, list | tuple) else [value]:
            words += [parameter.opts[0], str(getattr(one, "value", one))]
    return words


def _options(settings: Mapping[str, float]) -> list[str]:
    """The settings of a trial as options of `tgdi train`."""
    words = []
    for name, value in settings.items():
        if name in OPTIONS:
            words += [SPELLED.get(name, f"--{name.replace('_', '-')}"), str(value)]
        else:
            words += ["--set", f"{name}={value}"]
    return words

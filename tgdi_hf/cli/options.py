"""Arguments and options that several commands share."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class RepeatedMention(StrEnum):
    """Choices for an entity that is given by name and occurs in its text more than once."""

    error = "error"
    first = "first"
    all = "all"


class Resize(StrEnum):
    """Ways to resize images to the encoder's size, see `TGDIProcessor`."""

    crop = "crop"
    squash = "squash"


class ObjectFeatures(StrEnum):
    """Ways to read objects, see `TGDIConfig`."""

    crops = "crops"
    regions = "regions"


class Preset(StrEnum):
    """Named sets of fields of a configuration, see `TGDIConfig.from_preset`."""

    default = "default"
    paper = "paper"
    application = "application"


Checkpoint = Annotated[str, typer.Argument(help="Fine-tuned model: a folder, or a name on the Hub.")]
Data = Annotated[
    Path,
    typer.Argument(
        help="Folder written by `tgdi prepare`, DatasetDict saved with `save_to_disk`, or folder in MNRE's layout."
    ),
]
Posts = Annotated[
    Path,
    typer.Argument(
        help="File of posts (.jsonl, .json, .csv or .parquet) or folder written by `tgdi prepare`; '-' reads JSON from "
        "standard input.",
        allow_dash=True,
    ),
]
Control = Annotated[
    str | None,
    typer.Option(
        help="Perturb the inputs: text-only, no-image, no-caption, shuffled-images, blank-images, noise-images or "
        "shuffled-captions.",
        show_default="none",
    ),
]
Share = Annotated[float, typer.Option(min=0.0, max=1.0, help="Share of the rows that --control perturbs.")]
Objects = Annotated[str, typer.Option(help="'none', or 'published': the crops of the MNRE release, which leak labels.")]
Strict = Annotated[bool, typer.Option(help="Stop at the first malformed line of the corpus.")]
EntityModel = Annotated[
    str | None,
    typer.Option(help="Token-classification model that recognises entities in posts without any.", show_default="none"),
]
PairOrder = Annotated[
    str,
    typer.Option(
        "--pairs", help="How to combine the two orders of an entity pair: auto, independent, mnre, or a log-odds bias."
    ),
]
Ambiguous = Annotated[
    RepeatedMention,
    typer.Option(
        help="What to do if an entity given by name occurs more than once in the text: report an error, take the first "
        "mention, or take all mentions."
    ),
]
Negative = Annotated[
    str | None,
    typer.Option(metavar="LABEL", help="Label for no relation.", show_default="as configured, otherwise None"),
]
NoNegative = Annotated[bool, typer.Option("--no-negative", help="Treat every label as a relation.")]
Threshold = Annotated[
    float | None,
    typer.Option(help="Minimum probability of a relation (multi-label models only).", show_default="as configured"),
]
Truncation = Annotated[
    bool,
    typer.Option(
        help="Truncate texts that exceed the model's maximum length around their entities; otherwise report an error."
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Posts per batch.")]
Window = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="Posts that are read ahead and sorted by length, so that texts of like length share a batch; the output "
        "keeps the order of the posts.",
        show_default="16 batches; 1 batch with --evidence",
    ),
]
MaxBatchTokens = Annotated[
    int, typer.Option(min=1, help="Maximum number of entity pairs times their padded length in one forward pass.")
]
Workers = Annotated[int, typer.Option(min=1, help="Threads that load images.")]
Warmup = Annotated[
    float | None,
    typer.Option(
        min=0.0, max=0.99, help="Share of the steps in which the learning rate rises to its value.", show_default="0.1"
    ),
]
WeightDecay = Annotated[float | None, typer.Option(min=0.0, help="Weight decay of AdamW.", show_default="0.01")]
BF16 = Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16.")]
Compile = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Compile the model first, which takes minutes and requires a C++ compiler; for large files only.",
    ),
]
ImageResize = Annotated[
    Resize | None,
    typer.Option(
        help="Resize images as the image processor does (CLIP: crop the centre), or squash them to its size.",
        show_default="crop",
    ),
]
ObjectResize = Annotated[Resize | None, typer.Option(help="The same for objects.", show_default="squash")]
ReadObjects = Annotated[
    ObjectFeatures | None,
    typer.Option(
        "--object-features",
        help="Read objects as crops, each an image for the vision encoder, or as regions of their image, which is "
        "encoded once, and squashed by default.",
        show_default="crops",
    ),
]
TextModel = Annotated[str, typer.Option(help="Text encoder of the BERT family.")]
VisionModel = Annotated[str, typer.Option(help="Vision transformer.")]
TrainBatchSize = Annotated[int, typer.Option(min=1, help="Rows per device and step.")]
Caption = Annotated[bool, typer.Option(help="Append captions to the text.")]
FreezeVision = Annotated[bool, typer.Option(help="Freeze the vision encoder.")]
BothOrders = Annotated[
    bool | None,
    typer.Option(
        "--both-orders/--listed-order",
        help="Train on both orders of every entity pair, for models that score all pairs of a post, or on the listed "
        "one.",
        show_default="listed; both with --preset application",
    ),
]
Symmetric = Annotated[
    list[str],
    typer.Option(
        metavar="RELATION",
        help="Symmetric relation, with --both-orders; may be repeated. 'none': no relation is symmetric.",
        show_default="MNRE's",
    ),
]
SwapImages = Annotated[
    float | None,
    typer.Option(
        min=0.0,
        max=1.0,
        help="Share of training rows that get the image of another post and keep their label.",
        show_default="0; 0.1 with --preset application",
    ),
]
KeptFeatures = Annotated[
    Path | None,
    typer.Option(
        "--vision-features",
        help="Compute the features of the frozen vision encoder once and store them in this folder.",
    ),
]
FeaturesDtype = Annotated[str, typer.Option(help="Data type of stored vision features: float32, float16 or bfloat16.")]
Revision = Annotated[
    str | None, typer.Option(help="Branch, tag or commit of the model on the Hub.", show_default="main")
]
CacheDir = Annotated[
    Path | None, typer.Option(help="Cache folder for downloads from the Hub.", show_default="the Hub's cache")
]
LocalFilesOnly = Annotated[
    bool, typer.Option("--local-files-only", help="Use cached models only; do not connect to the Hub.")
]


def image_options(
    image_resize: Resize | None, object_resize: Resize | None, object_features: ObjectFeatures | None
) -> dict[str, Any]:
    """The options that are set, as keyword arguments."""
    options = {"image_resize": image_resize, "object_resize": object_resize, "object_features": object_features}
    return {name: option.value for name, option in options.items() if option is not None}


def order_options(preset: Preset, both_orders: bool | None, symmetric: list[str]) -> dict[str, Any]:
    """The entity orders to train on, as fields of `TGDIConfig`."""
    both_orders = preset is Preset.application if both_orders is None else both_orders
    if symmetric and not both_orders:
        raise typer.BadParameter("--symmetric requires --both-orders.", param_hint="--symmetric")
    names = {"symmetric_relations": [name for name in symmetric if name != "none"]} if symmetric else {}
    return {"direction_balanced": both_orders, **names}


def schedule_options(warmup: float | None, weight_decay: float | None) -> dict[str, Any]:
    """The options that are set, as arguments of `TrainingArguments`; run.json does not record those that are not."""
    options = {"warmup_steps": warmup, "weight_decay": weight_decay}
    return {name: value for name, value in options.items() if value is not None}

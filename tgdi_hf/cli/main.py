"""The command `tgdi`: thin over the package's functions."""

import json
import os
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from ..extras import names_extra

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Checkpoint = Annotated[str, typer.Argument(help="A fine-tuned model: a folder, or a name on the Hub.")]
Control = Annotated[
    str | None,
    typer.Option(
        help="Change the rows: text-only, no-image, no-caption, shuffled-images, blank-images, noise-images or "
        "shuffled-captions.",
        show_default="none",
    ),
]
Share = Annotated[float, typer.Option(min=0.0, max=1.0, help="Of the rows that a control changes.")]
Posts = Annotated[
    Path,
    typer.Argument(
        help="A .jsonl, .json, .csv or .parquet file of posts, or a folder that `tgdi prepare` made; '-' reads JSON "
        "from the standard input.",
        allow_dash=True,
    ),
]
BatchSize = Annotated[int, typer.Option(min=1, help="Posts that are read together.")]
Pairs = Annotated[
    str, typer.Option(help="How the two orders of a pair are combined: auto, independent, mnre or a number.")
]


class Places(StrEnum):
    """Of an entity that is in a text more than once."""

    error = "error"
    first = "first"
    all = "all"


Ambiguous = Annotated[
    Places,
    typer.Option(
        help="An entity that is given by name and is in the text more than once: report it, or take the first or all "
        "places."
    ),
]
Data = Annotated[
    Path, typer.Argument(help="What `tgdi prepare` made, a DatasetDict saved with `save_to_disk`, or an MNRE folder.")
]
Objects = Annotated[str, typer.Option(help="'none', or 'published': MNRE's crops, which leak the label.")]
Strict = Annotated[bool, typer.Option(help="Stop at the first bad line of the corpus.")]
Workers = Annotated[int, typer.Option(min=1, help="Threads that open images.")]
FeaturesDtype = Annotated[str, typer.Option(help="Of kept vision features: float32, float16 or bfloat16.")]
Negative = Annotated[
    str | None,
    typer.Option(
        metavar="LABEL", help="The label that stands for no relation.", show_default="as the model says, or None"
    ),
]
NoNegative = Annotated[bool, typer.Option("--no-negative", help="No label does: every label is a relation.")]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Of a multi-label model: the least probability of a relation that holds.", show_default="the model's"
    ),
]
Truncation = Annotated[
    bool, typer.Option(help="Cut texts that are too long for the model around their entities, or report them.")
]
BF16 = Annotated[bool, typer.Option("--bf16", help="Compute in bfloat16.")]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of it on the Hub.", show_default="main")]
CacheDir = Annotated[
    Path | None, typer.Option(help="Where downloads from the Hub are kept.", show_default="the Hub's cache")
]
LocalFilesOnly = Annotated[
    bool, typer.Option("--local-files-only", help="Take models that were downloaded before; don't ask the Hub.")
]


def _show_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        typer.echo(f"tgdi_hf {__version__}")
        raise typer.Exit


@app.callback()
def _about(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
):
    """TGDI: multimodal relation extraction in social media posts."""


@app.command(name="help")
def help_(context: typer.Context, command: Annotated[str | None, typer.Argument(show_default="all commands")] = None):
    """Show the help of a command.

    Example: tgdi help predict
    """
    group = context.parent
    if command is None:
        typer.echo(group.get_help())
        return
    found = group.command.get_command(group, command)
    if found is None:
        names = ", ".join(group.command.list_commands(group))
        raise typer.BadParameter(f"There is no command {command!r}; there are {names}.", param_hint="COMMAND")
    typer.echo(found.get_help(type(context)(found, info_name=command, parent=group)))


def _options(pairs: list[str]) -> dict:
    """`["toi_num_layers=1", "use_matching_gate=false"]` as a dict; values are JSON."""
    options = {}
    for pair in pairs:
        name, found, value = pair.partition("=")
        if not found:
            raise typer.BadParameter(f"{pair!r} is not of the form name=value, for example toi_num_layers=1.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options


def _negative(label: str | None, none: bool) -> str | None:
    """`--negative` and `--no-negative` as `find_negative` takes them."""
    if none and label is not None:
        raise typer.BadParameter("--negative and --no-negative contradict each other.", param_hint="--no-negative")
    return None if none else "auto" if label is None else label


def _pipeline(checkpoint: str, bf16: bool, negative: str | None = "auto", revision: str | None = None):
    """The pipeline of a checkpoint, on the accelerator if there is one."""
    import torch
    from transformers import pipeline

    from ..checkpoints import check_checkpoint, explain_hub_errors
    from ..processing.pipeline_tgdi import TASK

    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    dtype = torch.bfloat16 if bf16 else torch.float32
    check_checkpoint(checkpoint, revision)
    with explain_hub_errors(checkpoint):
        return pipeline(TASK, model=checkpoint, revision=revision, dtype=dtype, device=device, negative_label=negative)


def _number_or_name(text: str) -> str | float:
    try:
        return float(text)
    except ValueError:
        return text


def _make_way_for(output: Path | None) -> None:
    """Before anything takes its time."""
    if output is not None:
        output.parent.mkdir(parents=True, exist_ok=True)


def _expect_input(posts: Path) -> None:
    """Refuses to wait for posts that nobody knows have to be typed, and a file that can't be read before a model is."""
    if str(posts) != "-":
        from ..data.post_stream import check_posts

        if not posts.exists():
            raise typer.BadParameter(f"{posts}: there is no such file or folder.", param_hint="POSTS")
        check_posts(posts)
    elif sys.stdin is None or sys.stdin.isatty():
        raise typer.BadParameter(
            "Name a file of posts, or pass them on the standard input: tgdi predict CHECKPOINT < posts.jsonl",
            param_hint="POSTS",
        )


def _report(done, output: Path) -> None:
    if done is None:
        typer.echo(f"{output} is there, and no unfinished run of it: nothing was done.")
        return
    typer.echo(f"{done.rows - done.bad:,} posts in {output}")
    if done.bad:
        typer.echo(f"{done.bad:,} of {done.rows:,} posts can't be used; the reasons are in {done.errors}", err=True)
        if done.bad == done.rows:
            raise typer.Exit(1)


def _say_if_empty(rows: int, posts: Path) -> None:
    """Without a word an empty input looks like a command that has failed."""
    if not rows:
        where = "the standard input" if str(posts) == "-" else posts
        typer.echo(f"There are no posts in {where}.", err=True)


def _show(metrics: dict[str, float], split: str, rows: int) -> None:
    typer.echo(f"{split}, {rows:,} rows:")
    for name in ("accuracy", "precision", "recall", "f1"):
        typer.echo(f"{name:<10} {100 * metrics[f'eval_{name}']:.2f}")


@app.command()
def train(
    data: Data,
    output: Annotated[Path, typer.Argument(help="Folder for checkpoints and the final model.")],
    text_model: Annotated[str, typer.Option(help="BERT-shaped encoder.")] = "bert-base-uncased",
    vision_model: Annotated[str, typer.Option(help="Vision transformer.")] = "openai/clip-vit-base-patch32",
    text_revision: Revision = None,
    vision_revision: Revision = None,
    cache_dir: CacheDir = None,
    local_files_only: LocalFilesOnly = False,
    epochs: Annotated[float, typer.Option(min=0.0)] = 6,
    learning_rate: Annotated[float, typer.Option(min=0.0)] = 3e-5,
    fusion_learning_rate: Annotated[
        float | None, typer.Option(help="For modules that start from random weights.", show_default="the same")
    ] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Rows a device and step.")] = 16,
    seed: int = 0,
    caption: Annotated[bool, typer.Option(help="Append captions to the text.")] = True,
    freeze_vision: Annotated[bool, typer.Option(help="Keep the vision encoder's weights.")] = True,
    both_orders: Annotated[
        bool,
        typer.Option("--both-orders", help="Show every pair both ways: for models that score all pairs of a post."),
    ] = False,
    symmetric: Annotated[
        list[str],
        typer.Option(
            metavar="RELATION",
            help="With --both-orders, a relation that holds both ways; may be repeated. 'none': no relation does.",
            show_default="MNRE's",
        ),
    ] = [],  # noqa: B006 - typer copies it
    control: Control = None,
    share: Share = 1.0,
    objects: Objects = "none",
    strict: Strict = True,
    negative: Negative = None,
    no_negative: NoNegative = False,
    vision_features: Annotated[
        Path | None, typer.Option(help="Compute what the frozen vision encoder makes of images once, in this folder.")
    ] = None,
    features_dtype: FeaturesDtype = "float16",
    bf16: BF16 = False,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint in OUTPUT.")] = False,
    tensorboard: Annotated[bool, typer.Option("--tensorboard", help="Log for TensorBoard.")] = False,
    set_: Annotated[
        list[str], typer.Option("--set", metavar="NAME=VALUE", help="Field of TGDIConfig; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
):
    """Fine-tune on a folder of posts; the best model on validation ends up in OUTPUT.

    For gated or private encoders log in with `hf auth login`, or set HF_TOKEN: no token belongs on a command line.

    Example: tgdi train path/to/mnre runs/mnre --epochs 6 --bf16
    """
    from ..data.loading import load_data
    from ..extras import require
    from ..training.fine_tuning import fine_tune

    if tensorboard:
        require("tensorboard", "tensorboard", "--tensorboard")
    if symmetric and not both_orders:
        raise typer.BadParameter("It is about pairs that are shown both ways.", param_hint="--symmetric")
    if control is None and share != 1:
        raise typer.BadParameter("There is no control whose share it could be.", param_hint="--share")
    chosen = _negative(negative, no_negative)
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
        text_revision=text_revision,
        vision_revision=vision_revision,
        cache_dir=cache_dir,
        local_files_only=local_files_only,
        model_options={
            "use_caption": caption,
            "freeze_vision": freeze_vision,
            "direction_balanced": both_orders,
            **({} if chosen == "auto" else {"negative_label": chosen}),
            **({"symmetric_relations": [name for name in symmetric if name != "none"]} if symmetric else {}),
            **_options(set_),
        },
        num_train_epochs=epochs,
        learning_rate=learning_rate,
        per_device_train_batch_size=batch_size,
        bf16=bf16,
        report_to="tensorboard" if tensorboard else "none",
    )
    _show(metrics, "validation", len(dataset["validation"]))
    typer.echo(f"saved to {output}")


@app.command()
def evaluate(
    checkpoint: Checkpoint,
    data: Data,
    split: Annotated[str, typer.Option(help="Which split to score.")] = "validation",
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    objects: Objects = "none",
    strict: Strict = True,
    control: Control = None,
    share: Share = 1.0,
    listed_order: Annotated[
        bool,
        typer.Option("--listed-order", help="Of a model trained with --both-orders: go by the order in `train`, too."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of controls and the bootstrap.")] = 0,
    negative: Negative = None,
    no_negative: NoNegative = False,
    revision: Revision = None,
    bf16: BF16 = False,
    output: Annotated[Path | None, typer.Option(help="Write all scores, each relation's too, as JSON.")] = None,
    report: Annotated[
        Path | None, typer.Option(help="Write a report to this folder: intervals, groups, calibration, errors.")
    ] = None,
    compare: Annotated[str | None, typer.Option(help="Another model, for the report.", show_default="none")] = None,
):
    """Score a model: accuracy, and precision, recall and F1 without the relation None.

    Example: tgdi evaluate runs/mnre path/to/mnre --split validation --report report
    """
    from ..checkpoints import check_checkpoint
    from ..data.loading import load_data
    from ..data.perturbed import PerturbedDataset
    from ..evaluation.scoring import errors_of, evaluation_report, metrics_of
    from ..evaluation.scoring import evaluate as score
    from ..extras import is_installed

    check_checkpoint(checkpoint, revision)
    if compare is not None and report is None:
        raise typer.BadParameter("The comparison is part of the report: name a folder for it.", param_hint="--report")
    if compare is not None:
        check_checkpoint(compare)
    if report is not None and not is_installed("matplotlib"):
        typer.echo("The report will have no figures; they require matplotlib: pip install 'tgdi_hf[viz]'", err=True)
    chosen = _negative(negative, no_negative)
    dataset = load_data(data, objects=objects, strict=strict, negative=chosen)
    if split not in dataset:
        raise typer.BadParameter(f"{data} has no split {split!r}, only {', '.join(dataset)}.", param_hint="--split")
    if listed_order and "train" not in dataset:
        raise typer.BadParameter(f"What the order says is counted in the split 'train', which {data} lacks.",
                                 param_hint="--listed-order")  # fmt: skip
    if control is None and share != 1:
        raise typer.BadParameter("There is no control whose share it could be.", param_hint="--share")
    _make_way_for(output)
    rows, train = dataset[split], dataset["train"] if listed_order else None
    options = {
        "per_device_eval_batch_size": batch_size, "bf16_full_eval": bf16, "train": train, "negative": chosen,
        "revision": revision,
    }  # fmt: skip
    changed = None if control is None else PerturbedDataset(rows, control, share, seed)
    scored = {
        "data": str(data), "split": split, "rows": len(rows), "objects": objects, "control": control, "share": share,
        "changed": 0 if changed is None else len(changed.changed), "listed_order": listed_order, "seed": seed,
    }  # fmt: skip
    if report is None:
        metrics = score(checkpoint, rows, control=changed, **options)
    else:
        found, answers = evaluation_report(checkpoint, rows, compare, control=changed, seed=seed, **options)
        metrics = metrics_of(answers)
    _show(metrics, split, len(rows))
    if output is not None:
        output.write_text(json.dumps({**metrics, "scored": scored}, indent=2, sort_keys=True) + "\n")
    if report is not None:
        from ..evaluation.report_files import write_errors, write_report

        write_report({**found, "scored": scored}, report)
        wrong = errors_of(answers, rows if changed is None else changed)
        total = int((answers["probabilities"].argmax(axis=1) != answers["labels"]).sum())
        count = write_errors(_pipeline(checkpoint, bf16, chosen, revision), wrong, report / "errors.html", total=total)
        typer.echo(f"{report} has report.json, report.md and errors.html with {count} of the {total} errors")


@app.command()
def audit(
    data: Data,
    split: Annotated[str, typer.Option(help="Whose labels to guess.")] = "train",
    objects: Annotated[
        str, typer.Option(help="'none', or 'published': look at how many of MNRE's crops are listed for each row, too.")
    ] = "none",
    negative: Negative = None,
    no_negative: NoNegative = False,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="Write all that was found as JSON.")] = None,
):
    """Look for leaks: what, other than text and pixels, gives the labels away? Needs scikit-learn: the extra `audit`.

    Example: tgdi audit path/to/mnre
    """
    from ..data.loading import load_data
    from ..data.mnre_crops import listed_crops
    from ..evaluation.audit import as_markdown
    from ..evaluation.audit import audit as look_for_leaks
    from ..extras import require

    require("sklearn", "audit", "The audit", package="scikit-learn")
    if objects not in ("none", "published"):
        raise typer.BadParameter(f"It is {objects!r}; expected 'none' or 'published'.", param_hint="--objects")
    _make_way_for(output)
    chosen = _negative(negative, no_negative)
    dataset = load_data(data, negative=chosen)
    if split not in dataset:
        raise typer.BadParameter(f"{data} has no split {split!r}, only {', '.join(dataset)}.", param_hint="--split")
    extra = {}
    if objects == "published":
        listed = listed_crops(data, split)
        extra["published crops listed"] = [listed[name] for name in dataset[split]["id"]]
    found = look_for_leaks(dataset, split, extra, seed, chosen)
    typer.echo(as_markdown(found))
    if output is not None:
        output.write_text(json.dumps(found, indent=2) + "\n")


@app.command()
def predict(
    checkpoint: Checkpoint,
    posts: Posts = Path("-"),
    output: Annotated[
        Path, typer.Argument(help="A .jsonl, .csv or .parquet file; '-' prints JSON Lines.", allow_dash=True)
    ] = Path("-"),
    batch_size: BatchSize = 16,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="The most relations to list.", show_default="1; multi-label: all")
    ] = None,
    drop_none: Annotated[bool, typer.Option("--drop-none", help="Leave out pairs without relation.")] = False,
    evidence: Annotated[bool, typer.Option("--evidence", help="Say why: gate, tokens, regions, branches.")] = False,
    pairs: Pairs = "auto",
    negative: Negative = None,
    no_negative: NoNegative = False,
    threshold: Threshold = None,
    ambiguous: Ambiguous = Places.error,
    truncation: Truncation = True,
    strict: Annotated[bool, typer.Option(help="Stop at a post that can't be used.")] = False,
    errors: Annotated[
        Path | None, typer.Option(help="Where such posts go, with the reason.", show_default="OUTPUT.errors.jsonl")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was interrupted.")] = False,
    workers: Workers = 2,
    revision: Revision = None,
    bf16: BF16 = False,
):
    """Name the relations in a file of posts of any size; image paths are relative to the file.

    A post has text (or words), head and tail, or a list of entities for all pairs; and maybe image, objects, caption.

    One post: echo '{"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}' | tgdi predict runs/demo

    Example: tgdi predict runs/demo posts.jsonl relations.jsonl --top-k 3
    """
    from functools import partial

    from tqdm.auto import tqdm

    from ..data.row_writer import check_output

    _expect_input(posts)
    if str(output) != "-":
        check_output(output)
    if str(output) == "-" and (resume or errors is not None):
        raise typer.BadParameter("--resume and --errors can't be used with OUTPUT '-'.", param_hint="OUTPUT")
    if str(posts) == "-" and resume:
        raise typer.BadParameter("--resume can't be used with POSTS '-': what was read is gone.", param_hint="POSTS")
    chosen = _negative(negative, no_negative)
    pipe = _pipeline(checkpoint, bf16, chosen, revision)
    options = {
        "top_k": top_k, "drop_none": drop_none, "evidence": evidence, "pairs": _number_or_name(pairs),
        "negative_label": chosen, "threshold": threshold, "ambiguous": ambiguous.value, "batch_size": batch_size,
        "strict": strict, "truncation": truncation,
    }  # fmt: skip
    if str(output) == "-":
        from ..inference.bulk_prediction import print_predictions

        done = print_predictions(pipe, posts, num_workers=workers, **options)
        _say_if_empty(done.rows, posts)
        if done.rows and done.bad == done.rows:
            raise typer.Exit(1)
        return
    from ..inference.bulk_prediction import model_identity, predict_file

    done = predict_file(
        partial(pipe, num_workers=workers),
        posts,
        output,
        errors,
        resume=resume,
        progress=lambda found, rows: tqdm(found, initial=rows, unit=" posts", disable=None),
        identity={**model_identity(checkpoint), **({"revision": revision} if revision else {}), "bf16": bf16},
        **options,
    )
    _report(done, output)
    if done is not None:
        _say_if_empty(done.rows, posts)


@app.command()
def triples(
    checkpoint: Checkpoint,
    posts: Posts,
    output: Annotated[Path, typer.Argument(help="A .jsonl, .csv, .parquet or .nt (N-Triples) file.")],
    ner: Annotated[
        str | None,
        typer.Option(help="Token-classification model that finds the entities of posts without.", show_default="none"),
    ] = None,
    min_score: Annotated[float, typer.Option(min=0.0, max=1.0, help="Leave out what is less likely.")] = 0.0,
    base: Annotated[str, typer.Option(help="What IRIs of N-Triples begin with.")] = "urn:tgdi:",
    pairs: Pairs = "auto",
    negative: Negative = None,
    no_negative: NoNegative = False,
    threshold: Threshold = None,
    truncation: Truncation = True,
    ambiguous: Ambiguous = Places.error,
    batch_size: BatchSize = 16,
    workers: Workers = 2,
    revision: Revision = None,
    bf16: BF16 = False,
):
    """Turn posts into rows of head, relation, tail, score and the post's id; pairs without relation are left out.

    Example: tgdi triples runs/demo posts.jsonl triples.csv --min-score 0.5
    """
    from itertools import chain, islice

    from tqdm.auto import tqdm

    from ..data.post_stream import read_posts
    from ..data.row_writer import check_output
    from ..extras import require
    from ..inference.ner import token_classifier
    from ..inference.triple_files import write_triples
    from ..inference.triples import extract_triples

    _expect_input(posts)
    check_output(output, ".nt")
    if output.suffix.lower() == ".nt":
        require("rdflib", "rdf", "Writing N-Triples")
    pipe = _pipeline(checkpoint, bf16, _negative(negative, no_negative), revision)
    rows = read_posts(posts, strict=False, need_entities=ner is None)
    first = list(islice(rows, 1))
    _say_if_empty(len(first), posts)
    found = extract_triples(
        pipe,
        chain(first, rows),
        ner=None if ner is None else token_classifier(ner, device=pipe.device),
        min_score=min_score,
        batch_size=batch_size,
        num_workers=workers,
        pairs=_number_or_name(pairs),
        threshold=threshold,
        truncation=truncation,
        ambiguous=ambiguous.value,
        on_error=lambda error: typer.echo(f"left out: {error}", err=True),
    )
    count = write_triples(tqdm(found, unit=" triples", disable=None), output, base=base)
    typer.echo(f"{count:,} triples in {output}")


@app.command()
def prepare(
    data: Annotated[
        Path,
        typer.Argument(
            help="Posts: a .jsonl, .json, .csv or .parquet file, a folder of them by split, or an MNRE folder."
        ),
    ],
    output: Annotated[Path, typer.Argument(help="A new folder for the prepared posts.")],
    captioner: Annotated[
        str, typer.Option(help="Image-to-text model, or 'none'. On a CPU: Salesforce/blip-image-captioning-base.")
    ] = "Salesforce/blip2-opt-2.7b",
    grounder: Annotated[
        str, typer.Option(help="Zero-shot object detector, or 'none'.")
    ] = "IDEA-Research/grounding-dino-tiny",
    captioner_revision: Revision = None,
    grounder_revision: Revision = None,
    prompt: Annotated[str | None, typer.Option(help="What the captioner is asked.", show_default="the model's")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Lowest score of an object.", show_default="the model's")
    ] = None,
    objects: Annotated[
        str, typer.Option(help="Of an MNRE folder: 'none', or 'published' to import its crops.")
    ] = "none",
    spacy: Annotated[str | None, typer.Option(help="spaCy pipeline for noun phrases.", show_default="a rule")] = None,
    ambiguous: Ambiguous = Places.error,
    image_root: Annotated[Path | None, typer.Option(help="Refuse images outside this folder.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where results are kept.", show_default="~/.cache/tgdi_hf")] = None,
    batch_size: Annotated[int, typer.Option(min=1, help="Images a run of a model.")] = 8,
    workers: Workers = 2,
    embed_images: Annotated[bool, typer.Option("--embed-images", help="Put the images into the output.")] = False,
    vision_model: Annotated[
        str | None, typer.Option(help="Also keep what this vision encoder, frozen, makes of the images.")
    ] = None,
    vision_revision: Revision = None,
    cache_dir: CacheDir = None,
    local_files_only: LocalFilesOnly = False,
    features_dtype: FeaturesDtype = "float16",
    bf16: BF16 = False,
):
    """Add captions and objects to posts of your own: every distinct image once, whatever interrupts.

    Relative paths of images start at the folder of the data. Captions and objects that posts have are kept.

    Example: tgdi prepare posts.jsonl prepared --captioner Salesforce/blip-image-captioning-base

    On several GPUs: accelerate launch -m tgdi_hf.cli.main prepare posts.jsonl prepared --bf16
    """
    import torch

    from ..data.loading import read_table
    from ..extras import require
    from ..preparation.image_captioner import ImageCaptioner
    from ..preparation.object_grounder import ObjectGrounder
    from ..preparation.prepare import prepare as prepare_posts
    from ..preparation.prepare import process_state
    from ..preparation.vision_features import compute_encoder_features

    for option, model, revision in (
        ("captioner", captioner, captioner_revision),
        ("grounder", grounder, grounder_revision),
        ("vision-model", vision_model or "none", vision_revision),
    ):
        name = f"--{option.removesuffix('-model')}-revision"
        if revision is not None and model == "none":
            raise typer.BadParameter(f"requires --{option}.", param_hint=name)
        if revision is not None and Path(model).is_dir():
            raise typer.BadParameter("a folder has no revisions.", param_hint=name)
    if spacy is not None:
        require("spacy", "spacy", "--spacy")
    state, dtype = process_state(), torch.bfloat16 if bf16 else torch.float32
    hub = {"cache_dir": cache_dir, "local_files_only": local_files_only}
    loading = {"dtype": dtype, "device": state.device, "hub": hub}
    nlp = None
    if spacy is not None:
        import spacy as spacy_library

        nlp = spacy_library.load(spacy)
    done = prepare_posts(
        read_table(data, objects=objects),
        output,
        None
        if captioner == "none"
        else ImageCaptioner.from_pretrained(captioner, revision=captioner_revision, prompt=prompt, **loading),
        None
        if grounder == "none"
        else ObjectGrounder.from_pretrained(grounder, revision=grounder_revision, threshold=threshold, **loading),
        cache=cache,
        image_folder=data if data.is_dir() else data.parent,
        image_root=image_root,
        nlp=nlp,
        batch_size=batch_size,
        num_workers=workers,
        embed_images=embed_images,
        ambiguous=ambiguous.value,
    )
    if not state.is_main_process:
        return
    typer.echo(done.summary())
    advice = f"tgdi train {output} RUN"
    if vision_model is not None:
        features = output / "vision_features"
        compute_encoder_features(vision_model, done.dataset, features, features_dtype, revision=vision_revision, **hub)
        advice += f" --vision-model {vision_model} --vision-features {features}"
        advice += f" --vision-revision {vision_revision}" if vision_revision else ""
    typer.echo(f"prepared posts in {output}; train on them with: {advice}")


@app.command(name="explain")
def explain_(
    checkpoint: Checkpoint,
    output: Annotated[Path, typer.Argument(help="A .png, .svg or .pdf file.")],
    text: Annotated[str, typer.Option(help="The post.")],
    head: Annotated[str, typer.Option(help="As it stands in the text, once; or a span, '[0, 3]'.")],
    tail: str = typer.Option(),
    image: Annotated[Path | None, typer.Option(help="The post's image.")] = None,
    caption: Annotated[str | None, typer.Option(help="What an image captioner says of it.")] = None,
    revision: Revision = None,
    words: Annotated[
        list[str], typer.Option("--word", help="Another word to look for in the image; may be repeated.")
    ] = [],  # noqa: B006 - typer copies it
):
    """Draw why the model says what it says: scores, matching gate, branches, and where in the image it saw the words.

    Example: tgdi explain runs/demo why.png --text "Ann Lee meets Bob" --head "Ann Lee" --tail Bob
    """
    from ..extras import require
    from ..inference.explanation import explain, format_relation
    from ..inference.explanation_figure import check_figure, figure

    require("matplotlib", "viz", "A figure")
    check_figure(output)
    post = {"text": text, "head": head, "tail": tail, "image": image, "caption": caption}
    result, images = explain(_pipeline(checkpoint, bf16=False, revision=revision), post, words)
    output.parent.mkdir(parents=True, exist_ok=True)
    figure(result, images).savefig(output, dpi=150)
    typer.echo(f"{format_relation(result, digits=3)}, drawn in {output}")


@app.command()
def push(
    checkpoint: Checkpoint,
    repo: Annotated[str, typer.Argument(help="user/name on the Hub; made if it is not there.")],
    results: Annotated[list[Path], typer.Option(help="What `tgdi evaluate --output` wrote; once for every seed.")] = [],  # noqa: B006 - typer copies it
    seeds: Annotated[list[int], typer.Option("--seed", help="Of the runs behind the results, in order.")] = [],  # noqa: B006
    dataset: Annotated[
        str | None, typer.Option(help="What the results were measured on.", show_default="what they say")
    ] = None,
    split: Annotated[str | None, typer.Option(help="Likewise.", show_default="what they say")] = None,
    license: Annotated[str | None, typer.Option(help="Of the weights, as the Hub spells it.")] = None,
    language: str = "en",
    base_models: Annotated[
        list[str] | None,
        typer.Option("--base-model", help="An encoder's name on the Hub; may be repeated.", show_default="the model's"),
    ] = None,
    notes: Annotated[str | None, typer.Option(help="A paragraph for the card.")] = None,
    negative: Negative = None,
    no_negative: NoNegative = False,
    handler: Annotated[bool, typer.Option("--handler", help="Add handler.py for Inference Endpoints.")] = False,
    private: Annotated[bool, typer.Option("--private")] = False,
    to: Annotated[Path | None, typer.Option(help="Write the folder here, and upload nothing.")] = None,
    revision: Annotated[
        str | None,
        typer.Option(
            help="Branch, tag or commit of CHECKPOINT on the Hub; the upload goes to REPO's main.", show_default="main"
        ),
    ] = None,
):
    """Share a model on the Hub: weights, processor, pipeline, code and card in one commit. Log in with `hf auth login`.

    Example: tgdi push runs/demo me/tgdi-demo --to upload
    """
    from ..checkpoints import check_checkpoint, explain_hub_errors
    from ..hub.model_card import model_card
    from ..hub.upload import push_to_hub, save_for_hub
    from ..modeling.modeling_tgdi import TGDIForRelationExtraction
    from ..processing.processing_tgdi import TGDIProcessor
    from ..training.fine_tuning import control_of

    check_checkpoint(checkpoint, revision)
    with explain_hub_errors(checkpoint):
        model = TGDIForRelationExtraction.from_pretrained(checkpoint, revision=revision or "main")
        processor = TGDIProcessor.from_pretrained(checkpoint, revision=revision or "main")
    model.config.negative_label = model.config.find_negative(_negative(negative, no_negative))
    if trained_under := control_of(checkpoint):
        notes = " ".join([f"Trained under {trained_under}, to be compared with; not for use.", *filter(None, [notes])])
    card = model_card(
        model,
        repo,
        results=[json.loads(path.read_text(encoding="utf-8")) for path in results],
        seeds=seeds or None,
        dataset_name=dataset,
        split=split,
        license=license,
        language=language,
        base_models=base_models or None,
        notes=notes,
    )
    if to is not None:
        typer.echo(f"all that would go up is in {save_for_hub(to, model, processor, card, handler)}")
        return
    typer.echo(push_to_hub(repo, model, processor, card, handler=handler, private=private or None).commit_url)


@app.command(name="app")
def app_(
    checkpoint: Checkpoint,
    host: Annotated[str, typer.Option(help="'0.0.0.0' shows the page to other machines.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="The first free one from here on.", show_default="7860")] = 0,
    revision: Revision = None,
    bf16: BF16 = False,
):
    """Serve a page to try a model on. Needs gradio: the extra `demo`.

    Example: tgdi app runs/demo
    """
    from tempfile import TemporaryDirectory

    from ..extras import require

    require("gradio", "demo", "The page")
    from ..demo.app import run_app

    with TemporaryDirectory() as folder:
        run_app(
            _pipeline(checkpoint, bf16, revision=revision),
            str(checkpoint),
            folder,
            server_name=host,
            server_port=port or None,
        )


@app.command()
def demo(
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="Keep the trained model here.")] = None,
):
    """Train a tiny TGDI from scratch on an embedded corpus, beside a text-only control, and predict one post.

    Example: tgdi demo
    """
    from ..demo.demo import run_demo

    run_demo(seed=seed, output_dir=output)


def _invalid_configuration() -> type[Exception]:
    """What a configuration raises that does not pass its checks; imported when something has gone wrong."""
    from huggingface_hub.errors import StrictDataclassError

    return StrictDataclassError


def main() -> None:
    """The entry point: what is wrong with the input is a message, not a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # posts have characters that ASCII and Windows' code pages lack
            stream.reconfigure(errors="backslashreplace")
    # No bar for what takes no time, such as "Loading weights" before every answer. tqdm reads this when it is imported.
    os.environ.setdefault("TQDM_DELAY", "3")
    try:
        app()
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, ImportError, _invalid_configuration()) as error:
        if os.environ.get("TGDI_DEBUG") or (isinstance(error, ImportError) and not names_extra(error)):
            raise
        typer.secho(f"Error: {error}", err=True, fg="red")
        typer.echo("(With the environment variable TGDI_DEBUG=1 the traceback is shown.)", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()

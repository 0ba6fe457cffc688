"""`tgdi evaluate`."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from .arguments import check_share, check_split, make_parent, negative_label
from .messages import print_scores
from .options import BF16, Checkpoint, Control, Data, Negative, NoNegative, Objects, Revision, Share, Strict
from .pipelines import load_pipeline


def evaluate(
    checkpoint: Checkpoint,
    data: Data,
    split: Annotated[str, typer.Option(help="Split to score.")] = "validation",
    batch_size: Annotated[int, typer.Option(min=1)] = 64,
    objects: Objects = "none",
    strict: Strict = True,
    control: Control = None,
    share: Share = 1.0,
    listed_order: Annotated[
        bool,
        typer.Option(
            "--listed-order",
            help="Apply the entity-order prior estimated from the train split (--both-orders models only).",
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Seed of --control and of the bootstrap.")] = 0,
    negative: Negative = None,
    no_negative: NoNegative = False,
    revision: Revision = None,
    bf16: BF16 = False,
    output: Annotated[
        Path | None, typer.Option(help="Write all scores, including those per relation, to this JSON file.")
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(help="Write a report to this folder: confidence intervals, subgroups, calibration and errors."),
    ] = None,
    compare: Annotated[
        str | None, typer.Option(help="Second model to compare with in the report.", show_default="none")
    ] = None,
    perturb: Annotated[
        bool,
        typer.Option(
            "--perturb/--no-perturb",
            help="Examine in the report whether other images and captions mislead the model, in up to six more passes.",
        ),
    ] = True,
) -> None:
    """Score a model: accuracy, and micro precision, recall and F1 without the label None.

    Example: tgdi evaluate runs/mnre path/to/mnre --split validation --report report
    """
    from ..checkpoints import check_checkpoint
    from ..data.loading import load_data
    from ..data.perturbed import PerturbedDataset
    from ..evaluation.answers import count_errors, errors_of, metrics_of
    from ..evaluation.report import evaluation_report
    from ..evaluation.scoring import evaluate as score
    from ..extras import is_installed

    check_checkpoint(checkpoint, revision)
    if compare is not None and report is None:
        raise typer.BadParameter("--compare requires --report.", param_hint="--compare")
    if compare is not None:
        check_checkpoint(compare)
    if report is not None and not is_installed("matplotlib"):
        typer.echo("The report will have no figures; they require matplotlib: pip install 'tgdi_hf[viz]'", err=True)
    chosen = negative_label(negative, no_negative)
    dataset = load_data(data, objects=objects, strict=strict, negative=chosen)
    check_split(data, dataset, split)
    if listed_order and "train" not in dataset:
        raise typer.BadParameter(
            f"The entity-order prior is estimated from the split 'train', which {data} lacks.",
            param_hint="--listed-order",
        )
    check_share(control, share)
    make_parent(output)
    rows = dataset[split]
    options: dict[str, Any] = {
        "per_device_eval_batch_size": batch_size,
        "bf16_full_eval": bf16,
        "train": dataset["train"] if listed_order else None,
        "negative": chosen,
        "revision": revision,
    }
    perturbed = None if control is None else PerturbedDataset(rows, control, share, seed)
    scored = {
        "data": str(data),
        "split": split,
        "rows": len(rows),
        "objects": objects,
        "control": control,
        "share": share,
        "changed": 0 if perturbed is None else len(perturbed.changed),
        "listed_order": listed_order,
        "seed": seed,
    }
    if report is None:
        metrics = score(checkpoint, rows, control=perturbed, **options)
    else:
        contents, answers = evaluation_report(
            checkpoint, rows, compare, control=perturbed, seed=seed, perturb=perturb, **options
        )
        metrics = metrics_of(answers)
    print_scores(metrics, split, len(rows))
    if output is not None:
        output.write_text(json.dumps({**metrics, "scored": scored}, indent=2, sort_keys=True) + "\n")
    if report is not None:
        from ..evaluation.report_files import write_report
        from ..inference.error_page import write_errors

        write_report({**contents, "scored": scored}, report)
        errors = errors_of(answers, rows if perturbed is None else perturbed)
        total = count_errors(answers)
        pipe = load_pipeline(checkpoint, bf16, chosen, revision)
        count = write_errors(errors, pipe, report / "errors.html", total=total)
        typer.echo(f"Wrote report.json, report.md and errors.html ({count} of {total} errors) to {report}")

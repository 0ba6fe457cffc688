"""Measures a vision-language model as a zero-shot or few-shot baseline: it chooses one of the relations.

    python -m examples.research.vlm_baseline HuggingFaceTB/SmolVLM2-2.2B-Instruct path/to/mnre results/vlm
    python -m examples.research.vlm_baseline MODEL path/to/mnre results/vlm-4 --shots 4 --compare runs/mnre

MODEL is any image-text-to-text model of transformers with a chat template, on the Hub or in a folder. The prompt marks
head and tail in the text and lists the relations that their types (columns `head_type` and `tail_type`) allow, with
descriptions; the prediction is the relation whose name has the highest likelihood as the answer. OUT receives
predictions.jsonl, from which an interrupted run resumes, the report of `tgdi evaluate`, and run.json, which
`examples.research.reproduce compare` takes.
"""

import argparse
import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset
from tqdm.auto import tqdm

from examples.research.reproduce.train import commit, scores_only, versions, write
from tgdi_hf.checkpoints import check_checkpoint
from tgdi_hf.cli.messages import print_scores
from tgdi_hf.data.dataset_columns import texts_of
from tgdi_hf.data.image_identity import digest_of
from tgdi_hf.data.labels import label_names
from tgdi_hf.data.loading import load_data
from tgdi_hf.data.perturbed import CONTROLS, PerturbedDataset
from tgdi_hf.evaluation.answers import Answers, metrics_of
from tgdi_hf.evaluation.checkpoint_loading import check_model_type
from tgdi_hf.evaluation.comparison import compare_predictions
from tgdi_hf.evaluation.probabilities import rows_to_score
from tgdi_hf.evaluation.report import predictions_of
from tgdi_hf.evaluation.report_files import write_report
from tgdi_hf.evaluation.report_groups import grouping_columns
from tgdi_hf.evaluation.report_scores import report_of
from tgdi_hf.evaluation.report_tables import comparison_text
from tgdi_hf.modeling.negative_label import AUTO, find_negative
from tgdi_hf.training.run_record import digest_of_rows

from .model import VisionLanguageModel
from .prompts import INSTRUCTION
from .records import open_records, probabilities_of_records, write_record
from .relations import TYPE_COLUMNS, describe, read_descriptions
from .scoring import NORMALIZATIONS, Scoring, score_rows
from .shots import Shots

logger = logging.getLogger("vlm_baseline")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.research.vlm_baseline",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", help="name on the Hub or folder")
    parser.add_argument("data", type=Path, help="an MNRE folder, or posts prepared by `tgdi prepare`")
    parser.add_argument("out", type=Path, help="folder for predictions and report")
    parser.add_argument("--split", default="validation", help="the scored split (default: %(default)s)")
    parser.add_argument("--shots", type=int, default=0, help="examples from the train split (default: %(default)s)")
    parser.add_argument(
        "--shot-images", choices=("auto", "yes", "no"), default="auto",
        help="whether examples have their images; auto: if the model was trained on several per conversation",
    )  # fmt: skip
    parser.add_argument("--normalization", choices=NORMALIZATIONS, default="sum", help="of the log-likelihoods")
    parser.add_argument("--calibrate", action="store_true", help="subtract the score for a post without content")
    parser.add_argument("--descriptions", type=Path, help="JSON object from relations to descriptions")
    parser.add_argument("--control", choices=CONTROLS, help="perturb images, as `tgdi evaluate --control`")
    parser.add_argument("--negative", default=AUTO, help="the label that stands for no relation")
    parser.add_argument("--seed", type=int, default=0, help="of examples, --control and bootstrap")
    parser.add_argument("--compare", help="TGDI checkpoint to compare with on the same rows")
    parser.add_argument("--revision", help="branch, tag or commit of MODEL on the Hub")
    parser.add_argument("--dtype", default="auto", choices=("auto", "float32", "bfloat16", "float16"))
    parser.add_argument("--device", help="default: the accelerator, if there is one")
    parser.add_argument("--device-map", help="such as auto, for a model that one device cannot hold")
    parser.add_argument("--batch-size", type=int, default=8, help="answers per pass (default: %(default)s)")
    parser.add_argument(
        "--no-shared-prefix", action="store_true",
        help="read the conversation again for each answer; for models whose cache cannot be repeated",
    )  # fmt: skip
    args = parser.parse_args(arguments)
    if args.shots < 0:
        parser.error(f"--shots is {args.shots}; expected 0 or more.")
    if args.batch_size < 1:
        parser.error(f"--batch-size is {args.batch_size}; expected 1 or more.")
    if args.out.exists() and not args.out.is_dir():
        parser.error(f"{args.out} is a file; expected a folder for the results.")
    if args.device and args.device_map:
        parser.error("--device and --device-map are both given; leave one out.")
    return args


def main(arguments: Sequence[str] | None = None) -> None:
    args = parse(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        run(args)
    except (ValueError, OSError) as error:
        raise SystemExit(str(error)) from error


def run(args: argparse.Namespace) -> dict[str, Any]:
    r"""
    Scores the rows, or those that an interrupted run left, and writes the report.

    Returns:
        The report.

    Raises:
        ValueError: Unfit data, model or results of another run; the message says which.
    """
    if args.compare is not None:  # before hours of scoring
        check_checkpoint(args.compare)
        check_model_type(args.compare)
    dataset = load_data(args.data, negative=args.negative)
    splits = (args.split, "train") if args.shots else (args.split,)
    for split in splits:
        if split not in dataset:
            raise ValueError(f"{args.data} has no split {split!r}, only {', '.join(dataset)}.")
    if args.shots and args.split == "train":
        raise ValueError("Examples are drawn from the split 'train', which cannot be scored with --shots.")
    names, several = label_names(dataset)
    if several:
        raise ValueError(f"The rows of {args.data} have lists of labels; expected one label per row.")
    negative = find_negative(names, args.negative)
    scored = dataset[args.split]
    if not len(scored):
        raise ValueError(f"The split {args.split!r} of {args.data} has no rows.")
    descriptions = describe(names, negative, args.descriptions and read_descriptions(args.descriptions))
    control = None if args.control is None else PerturbedDataset(scored, args.control, seed=args.seed)
    model = VisionLanguageModel.from_pretrained(
        args.model, args.revision, args.dtype, args.device, args.device_map,
        batch_size=args.batch_size, share_prefix=not args.no_shared_prefix,
    )  # fmt: skip
    if not (model.share_prefix or args.no_shared_prefix):
        logger.info("The cache of %s cannot be repeated: the conversation is read for each answer.", args.model)
    example_images = args.shot_images == "yes" or (args.shot_images == "auto" and model.reads_several_images)
    if args.shots and not example_images:
        why = "--shot-images no" if args.shot_images == "no" else f"{args.model} was trained on one per conversation"
        logger.info("The examples have no images (%s).", why)
    scoring = Scoring(args.normalization, args.calibrate, example_images)
    settings = {
        "model": args.model,
        "identity": model.identity,
        "dtype": str(model.model.dtype).removeprefix("torch."),
        "split": args.split,
        "data": {
            name: digest_of_rows(dataset[name]) for name in ([args.split, "train"] if args.shots else [args.split])
        },
        "types": digest_of_types(scored),
        "shots": args.shots,
        "seed": args.seed,
        "control": args.control,
        **scoring._asdict(),
        "instruction": INSTRUCTION,
        "descriptions": descriptions,
    }
    rows = rows_to_score(scored, control)
    shots = Shots(dataset["train"] if args.shots else scored, names, args.shots, args.seed)
    with open_records(args.out / "predictions.jsonl", settings) as (records, lines):
        if len(records) > len(rows):
            raise ValueError(f"{args.out / 'predictions.jsonl'} has {len(records)} rows; the data have {len(rows)}.")
        todo = score_rows(model, rows, names, descriptions, shots, scoring, len(records), scored)
        bar = tqdm(todo, total=len(rows), initial=len(records), unit=" rows", desc="scoring", disable=None)
        for record in bar:
            write_record(lines, record)
            records.append(record)
    answers: Answers = {
        "names": names,
        "negative": negative,
        "labels": np.array(scored["label"][:]),
        "probabilities": probabilities_of_records(records, names),
    }
    return write_results(args, settings, scored, control, answers)


def digest_of_types(rows: Dataset) -> str:
    """A digest of the entity types, which restrict the relations of a row."""
    types = [rows[name][:] if name in rows.column_names else None for name in TYPE_COLUMNS]
    return digest_of(json.dumps(types).encode())


def write_results(
    args: argparse.Namespace, settings: dict[str, Any], scored: Any, control: Any, answers: Answers
) -> dict[str, Any]:
    """Writes and prints the report, with a comparison on request, and the run for `reproduce compare`."""
    names, negative, labels = answers["names"], answers["negative"], answers["labels"]
    predicted, posts = answers["probabilities"].argmax(axis=1), texts_of(scored)
    report = report_of(
        answers["probabilities"], labels, names, grouping_columns(scored, control), seed=args.seed, posts=posts,
        negative=negative,
    )  # fmt: skip
    report |= {"checkpoint": args.model, "as_listed": False}
    if args.compare is not None:
        other = predictions_of(args.compare, scored, control, None, names)
        none = None if negative is None else names.index(negative)
        compared = compare_predictions(other, predicted, labels, none, posts, seed=args.seed)
        report["comparison"] = {"with": args.compare, **compared}
    report["scored"] = {
        "data": str(args.data),
        "split": args.split,
        "rows": len(labels),
        "objects": "none",
        "control": args.control,
        "changed": 0 if control is None else len(control.changed),
        "listed_order": False,
        "seed": args.seed,
    }
    report["settings"] = settings
    write_report(report, args.out)
    result = {
        "scores": scores_only(report),
        "answers": predicted.tolist(),
        "labels": labels.tolist(),
        **settings,
        "commit": commit(),
        "versions": versions(),
    }
    write(result, args.out / "run.json")
    print_scores(metrics_of(answers), args.split, len(labels))
    f1 = report["scores"]["f1"]
    print(f"F1 interval {100 * f1['low']:.2f} to {100 * f1['high']:.2f} (95 %, bootstrap over posts)")
    if args.compare is not None:
        print(comparison_text(report["comparison"]))
    return report


if __name__ == "__main__":
    main()

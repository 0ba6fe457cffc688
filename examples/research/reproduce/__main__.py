"""Runs the experiments of a table, collects the results, or compares two runs.

    python -m examples.research.reproduce --results results run table2 path/to/mnre runs --seeds 0 1 2 --bf16
    python -m examples.research.reproduce --results results collect table2
    python -m examples.research.reproduce --results results compare path/to/mnre main/mtb-0 main/tgdi-0

The data may also be a prepared folder of posts, such as the embedded corpus:

    python -m examples.research.reproduce corpus posts
    python -m examples.research.reproduce --results results run table2 posts runs --train-vision --learning-rate 2e-3 \\
        --epochs 5 --text-model posts/encoders/text --vision-model posts/encoders/vision

All experiments of a seed run before those of the next. Finished runs are skipped, interrupted runs resume from their
last epoch, and a run in progress in another process is left to that process: start one process per device. `--steps`
instead of epochs is for smoke tests.
"""

import argparse
import json
import logging
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tgdi_hf.data.loading import load_data
from tgdi_hf.demo.corpus_schema import SPLITS

from .collect import collect
from .compare import compare
from .corpus import write_corpus
from .experiments import CONFIGS, Experiment, read_experiments, what_ran
from .train import digests_of, identity_of, refuse_unfit_data, run, write

RESULTS = Path(__file__).parents[1] / "results" / "mnre"
logger = logging.getLogger("reproduce")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.research.reproduce",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--results", type=Path, help="folder with one JSON file per run, and the tables")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("group", choices=sorted(path.name for path in CONFIGS.iterdir()))
    running.add_argument("data", type=Path, help="an MNRE folder, or prepared posts: of `tgdi prepare` or `corpus`")
    running.add_argument("runs", type=Path, help="folder for checkpoints of unfinished runs")
    running.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    running.add_argument("--only", nargs="+", help="names of experiments")
    running.add_argument("--text-model", default="bert-base-uncased")
    running.add_argument("--vision-model", default="openai/clip-vit-base-patch32")
    running.add_argument("--glove", help="text file of word vectors for CNN and PCNN")
    running.add_argument("--objects", default="none", help="'published' for MNRE's crops, which leak the label")
    running.add_argument("--split", default="validation", help="the scored split; the epoch is selected on validation")
    running.add_argument("--train-vision", action="store_true", help="train the vision encoder, too")
    running.add_argument("--bf16", action="store_true")
    running.add_argument("--epochs", type=float)
    running.add_argument("--learning-rate", type=float)
    running.add_argument("--steps", type=int)
    collecting = commands.add_parser("collect")
    collecting.add_argument("group", choices=sorted(path.name for path in CONFIGS.iterdir()))
    comparing = commands.add_parser("compare", help="paired bootstrap over posts and McNemar's test")
    comparing.add_argument("data", type=Path, help="the data both runs were scored on")
    comparing.add_argument("one", help="GROUP/NAME-SEED")
    comparing.add_argument("two", help="GROUP/NAME-SEED")
    writing = commands.add_parser("corpus", help="write the embedded corpus, and tiny encoders for it, into a folder")
    writing.add_argument("data", type=Path, help="the new folder")
    writing.add_argument("--rows", type=int, nargs=3, metavar=("TRAIN", "VALIDATION", "TEST"))
    writing.add_argument("--seed", type=int, default=0)
    writing.add_argument("--name-scenes", action="store_true", help="in the captions, which are vague otherwise")
    args = parser.parse_args()
    if args.command != "corpus" and args.results is None:
        parser.error(f"{args.command} needs a folder for its results: pass --results before it.")
    return args


def main() -> None:
    args = parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if args.command == "corpus":
        written = write_corpus(
            args.data, dict(zip(SPLITS, args.rows)) if args.rows else None, args.seed, args.name_scenes
        )
        print(f"{args.data}: {', '.join(f'{len(rows)} {split}' for split, rows in written.items())} posts")
        return
    if args.command == "collect":
        print(collect(args.group, args.results))
        return
    if args.command == "compare":
        print(compare(args.data, args.results / f"{args.one}.json", args.results / f"{args.two}.json"))
        return
    if args.steps is not None and args.results.resolve() == RESULTS:
        raise SystemExit("--steps is for smoke tests: use another folder for --results.")
    experiments = read_experiments(args.group)
    if args.only:
        if unknown := set(args.only) - {experiment.name for experiment in experiments}:
            raise SystemExit(f"{args.group} has no {', '.join(sorted(unknown))}; it has "
                             f"{', '.join(experiment.name for experiment in experiments)}.")  # fmt: skip
        experiments = [experiment for experiment in experiments if experiment.name in args.only]
    given = {"num_train_epochs": args.epochs, "learning_rate": args.learning_rate, "max_steps": args.steps}
    arguments = {name: value for name, value in given.items() if value is not None} | {"bf16": args.bf16}
    dataset = load_data(args.data, objects=args.objects)
    if args.split not in dataset:
        raise SystemExit(f"{args.data} has no split {args.split!r}, only {', '.join(dataset)}.")
    how = {"text_model": args.text_model, "vision_model": args.vision_model, "glove": args.glove,
           "objects": args.objects, "split": args.split, "train_vision": args.train_vision}  # fmt: skip
    for experiment in experiments:  # before the first run
        refuse_unfit_data(experiment, dataset, args.data)
    digests = digests_of(dataset, args.split)
    for seed in args.seeds:
        for experiment in experiments:
            file = args.results / f"{experiment.run}-{seed}.json"
            folder = args.runs / f"{experiment.run}-{seed}"
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                # The lock ends with the process, so a killed run leaves nothing to clean up.
                with FileLock(f"{folder}.lock", timeout=0):
                    if file.exists():
                        refuse_another(file, experiment, identity_of(experiment, digests, **how, arguments=arguments))
                        logger.info("%s exists.", file)
                        shutil.rmtree(folder, ignore_errors=True)  # of a run interrupted during clean-up
                        continue
                    logger.info("%s, seed %d ...", experiment.title, seed)
                    result = run(experiment, seed, dataset, args.data, folder, **how, **arguments)
                    write(result, file)  # before deleting the checkpoints: an incomplete set of them cannot be resumed
                    shutil.rmtree(folder)
                    logger.info("%s, seed %d: F1 %.2f", experiment.title, seed, 100 * result["scores"]["f1"])
            except Timeout:
                continue


def refuse_another(file: Path, experiment: Experiment, identity: dict[str, Any]) -> None:
    """Exits if the existing run in a file differs from the requested one."""
    found = json.loads(file.read_text(encoding="utf-8"))
    found["experiment"] = what_ran(found["experiment"])
    before = {"objects": "none", "train_vision": False, "data": identity["data"]}  # of runs that did not record it
    for name, value in {"experiment": what_ran(asdict(experiment)), **identity}.items():
        there = found.get(name, before.get(name))
        if there != value:
            raise SystemExit(
                f"{file} is a run with other {name}: {there}, not {value}. Use another folder for --results."
            )


if __name__ == "__main__":
    main()

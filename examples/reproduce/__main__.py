"""Run the experiments of a table, or collect what was run.

    python -m examples.reproduce run main path/to/mnre runs --seeds 0 1 2 --bf16
    python -m examples.reproduce collect main

A run that is finished is skipped, one that was stopped goes on from its last epoch, and one that another process is at
is left to it: start as many processes as there are devices. `--steps` in place of epochs is for trying out.
"""

import argparse
import logging
import shutil
from pathlib import Path

from filelock import FileLock, Timeout

from tgdi_hf import load_mnre

from .collect import collect
from .experiments import CONFIGS, read_experiments
from .train import run, write

RESULTS = Path(__file__).parents[1] / "results" / "mnre"
logger = logging.getLogger("reproduce")


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m examples.reproduce", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="a JSON file a run, and the tables")
    commands = parser.add_subparsers(dest="command", required=True)
    running = commands.add_parser("run")
    running.add_argument("group", choices=sorted(path.name for path in CONFIGS.iterdir()))
    running.add_argument("data", type=Path, help="an MNRE folder")
    running.add_argument("runs", type=Path, help="for checkpoints, until a run is finished")
    running.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    running.add_argument("--only", nargs="+", help="names of experiments")
    running.add_argument("--text-model", default="bert-base-uncased")
    running.add_argument("--vision-model", default="openai/clip-vit-base-patch32")
    running.add_argument("--glove", help="text file of word vectors, for CNN and PCNN")
    running.add_argument("--bf16", action="store_true")
    running.add_argument("--epochs", type=float)
    running.add_argument("--learning-rate", type=float)
    running.add_argument("--steps", type=int)
    collecting = commands.add_parser("collect")
    collecting.add_argument("group", choices=sorted(path.name for path in CONFIGS.iterdir()))
    return parser.parse_args()


def main() -> None:
    args = parse()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    if args.command == "collect":
        print(collect(args.group, args.results))
        return
    if args.steps is not None and args.results == RESULTS:
        raise SystemExit("--steps is for trying out: say with --results where that is to go.")
    experiments = read_experiments(args.group)
    if args.only:
        if unknown := set(args.only) - {experiment.name for experiment in experiments}:
            raise SystemExit(f"{args.group} has no {', '.join(sorted(unknown))}; it has "
                             f"{', '.join(experiment.name for experiment in experiments)}.")  # fmt: skip
        experiments = [experiment for experiment in experiments if experiment.name in args.only]
    given = {"num_train_epochs": args.epochs, "learning_rate": args.learning_rate, "max_steps": args.steps}
    arguments = {name: value for name, value in given.items() if value is not None} | {"bf16": args.bf16}
    dataset = load_mnre(args.data)
    for seed in args.seeds:
        for experiment in experiments:
            file = args.results / f"{experiment.run}-{seed}.json"
            folder = args.runs / f"{experiment.run}-{seed}"
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:
                # The lock goes with the process: nothing is left to clean up after one that was killed.
                with FileLock(f"{folder}.lock", timeout=0):
                    if file.exists():
                        shutil.rmtree(folder, ignore_errors=True)  # of a run that was stopped while it cleaned up
                        continue
                    logger.info("%s, seed %d ...", experiment.title, seed)
                    result = run(
                        experiment, seed, dataset, args.data, folder, args.text_model, args.vision_model, args.glove,
                        **arguments,
                    )  # fmt: skip
                    write(result, file)  # before the checkpoints go: half of them is no run to go on from
                    shutil.rmtree(folder)
                    logger.info("%s, seed %d: F1 %.2f", experiment.title, seed, 100 * result["scores"]["f1"])
            except Timeout:
                continue


if __name__ == "__main__":
    main()

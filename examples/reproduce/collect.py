"""What was run, as one table: every figure with its number of seeds, the paper's own numbers in another column."""

import csv
import json
import statistics
from pathlib import Path
from typing import Any

from .experiments import read_experiments

SCORES = ("precision", "recall", "f1")
# Tables 1 and 2 of the TGDI paper: precision, recall and F1 on MNRE's test split, with BERT-base, CLIP and the
# published object crops. They are not to be compared with what is measured on validation with other encoders.
PAPER = {
    "cnn": (57.81, 46.25, 51.39),
    "pcnn": (62.85, 49.69, 55.49),
    "mtb": (64.46, 57.81, 60.86),
    "visualbert": (57.15, 59.48, 58.30),
    "ifaformer": (82.59, 80.78, 81.67),
    "hvpnet": (83.64, 80.78, 81.85),
    "mkgformer": (82.67, 81.25, 81.95),
    "tgdi": (84.18, 83.13, 83.65),
    "tgdi-without-caption": (83.86, 82.81, 83.33),
    "tgdi-without-tmmg": (83.36, 83.75, 83.55),
    "tgdi-without-cmi": (81.75, 81.87, 81.81),
    "tgdi-without-toi": (82.28, 81.25, 81.76),
    "tgdi-without-r": (81.75, 81.88, 81.81),
}


def results_of(group: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    """The finished runs of every experiment of a group, by its name, in the order of the seeds."""
    found: dict[str, list[dict[str, Any]]] = {}
    for experiment in read_experiments(group):
        files = folder.glob(f"{experiment.run}-[0-9]*.json")
        results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        found[experiment.name] = sorted(results, key=lambda result: result["seed"])
    return found


def mean_and_deviation(values: list[float]) -> str:
    """In percent; one value has no deviation."""
    if not values:
        return ""
    mean = f"{100 * statistics.mean(values):.2f}"
    return f"{mean} ± {100 * statistics.stdev(values):.2f}" if len(values) > 1 else mean


def collect(group: str, folder: Path) -> str:
    r"""
    Writes `GROUP.json`, `GROUP.csv` (a line a run) and `GROUP.md` (a line an experiment) beside the runs.

    Returns:
        The Markdown table.
    """
    found = results_of(group, folder)
    titles = {experiment.name: experiment.title for experiment in read_experiments(group)}
    header = ["", "seeds", "accuracy", "precision", "recall", "F1", "`None` given a relation", "the same, swapped"]
    header.append("paper, test: P / R / F1")
    lines = [header, ["---"] * len(header)]
    for name, results in found.items():
        columns = [mean_and_deviation([r["scores"][s] for r in results]) for s in ("accuracy", *SCORES)]
        columns += [mean_and_deviation([r["direction"][s] for r in results]) for s in ("listed", "swapped")]
        paper = " / ".join(f"{value:.2f}" for value in PAPER[name]) if name in PAPER else ""
        lines.append([titles[name], str(len(results)), *columns, paper])
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
    (folder / f"{group}.md").write_text(table, encoding="utf-8")
    runs = [result for results in found.values() for result in results]
    keep = ("experiment", "seed", "split", "scores", "macro_f1", "epochs", "direction", "train_rows", "seconds")
    short = [{name: run[name] for name in keep} for run in runs]
    (folder / f"{group}.json").write_text(json.dumps(short, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with (folder / f"{group}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["experiment", "seed", "accuracy", *SCORES, "macro_f1", "listed", "swapped", "train_rows"])
        for run in runs:
            scores = [run["scores"][name] for name in ("accuracy", *SCORES)]
            direction = [run["direction"][name] for name in ("listed", "swapped")]
            values = [*scores, run["macro_f1"], *direction]
            name = run["experiment"]["name"]
            writer.writerow([name, run["seed"], *[f"{value:.4f}" for value in values], run["train_rows"]])
    return table

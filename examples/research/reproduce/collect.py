"""Tables of finished runs: mean ± standard deviation with the number of seeds; the paper's in a column apart."""

import csv
import json
import statistics
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .experiments import Experiment, read_experiments
from .figures import draw

SCORES = ("precision", "recall", "f1")
# Tables 1 and 2 of the TGDI paper: precision, recall and F1 on MNRE's test split, with BERT-base, CLIP and the
# published object crops. Not comparable with scores on validation with other encoders.
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
# Groups with experiments of the paper.
PAPER_GROUPS = ("main", "ablations", "baselines")
# Its Table 3: rows of the test split, F1 of HVPNeT and of TGDI.
PAPER_CATEGORIES = {
    "/per/per/peer": (156, 88.96, 91.69),
    "/per/org/member_of": (110, 80.33, 83.70),
    "/loc/loc/contain": (99, 93.88, 96.55),
    "/per/misc/present_in": (74, 75.00, 83.69),
    "/org/loc/locate_at": (46, 85.06, 83.72),
    "/per/loc/place_of_residence": (29, 63.16, 64.41),
}


def results_of(group: str, folder: Path) -> dict[str, list[dict[str, Any]]]:
    r"""
    The finished runs of each experiment of a group, by experiment name, sorted by seed.

    Raises:
        ValueError: Runs of one table differ in encoders, objects, data or split, or runs of one row differ in recipe,
            experiment or word vectors.
    """
    found: dict[str, list[dict[str, Any]]] = {}
    for experiment in read_experiments(group):
        files = folder.glob(f"{experiment.run}-[0-9]*.json")
        results = [json.loads(file.read_text(encoding="utf-8")) for file in files]
        found[experiment.name] = sorted(results, key=lambda result: result["seed"])
    for name, results in found.items():
        refuse_unlike(name, "recipe", [result["recipe"] for result in results])
        refuse_unlike(name, "word vectors", [result.get("glove") for result in results])
        refuse_unlike(name, "experiments", [what_ran(result["experiment"]) for result in results])
    runs = [result for results in found.values() for result in results]
    for what, default in (("encoders", None), ("split", None), ("objects", "none")):
        refuse_unlike(group, what, [result.get(what, default) for result in runs])
    refuse_unlike(
        group, "data", [result["data"] for result in runs if "data" in result]
    )  # early runs did not record it
    return found


def what_ran(experiment: dict[str, Any]) -> dict[str, Any]:
    """An experiment's settings without names and defaults, so that fields added later change nothing."""
    called = ("group", "name", "title", "same_as")
    default = asdict(Experiment("", "", ""))
    return {
        name: value for name, value in experiment.items() if name not in called and value != default.get(name, value)
    }


def refuse_unlike(where: str, what: str, values: list[Any]) -> None:
    unlike = [value for value in values if value != values[0]]
    if unlike:
        raise ValueError(f"{where}: cannot average runs with different {what}: {values[0]} and {unlike[0]}.")


def mean_and_deviation(values: list[float], digits: int = 2) -> str:
    """Mean ± standard deviation in percent; a single value has no deviation."""
    if not values:
        return ""
    mean = f"{100 * statistics.mean(values):.{digits}f}"
    return f"{mean} ± {100 * statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean


def best_shift(results: list[dict[str, Any]]) -> str:
    """The best F1 over shifts, averaged over seeds, and that shift; selected on the reported split."""
    curves = [result["none_shift"] for result in results if "none_shift" in result]
    if not curves:
        return ""
    shift = max(curves[0], key=lambda one: sum(curve[one] for curve in curves))
    found = mean_and_deviation([curve[shift] for curve in curves])
    return f"{found} at {shift}{of_the_seeds(curves, results)}"


def of_the_seeds(known: list[Any], results: list[dict[str, Any]]) -> str:
    """A note where early runs did not record a score."""
    return f" ({len(known)} of the seeds)" if known and len(known) < len(results) else ""


def table_of(header: list[str], lines: list[list[str]]) -> str:
    """A Markdown table without columns that are empty in every row."""
    used = [i for i, name in enumerate(header) if i == 0 or any(line[i] for line in lines)]
    rows = [[line[i] for i in used] for line in (header, ["---"] * len(header), *lines)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def split_of(found: dict[str, list[dict[str, Any]]]) -> str:
    return next((result["split"] for results in found.values() for result in results), "validation")


def main_table(group: str, found: dict[str, list[dict[str, Any]]]) -> str:
    """One row per experiment."""
    header = [
        f"MNRE, {split_of(found)}",
        "seeds",
        "accuracy",
        "precision",
        "recall",
        "F1",
        "F1, weighed for the listed order",
        "the same from one pass",
        "F1 of averaged weights",
    ]
    header += ["F1 with the odds of `None` shifted, at best", "`None` given a relation", "the same, swapped"]
    header += ["F1, order unknown", "`None` given a relation, order unknown"]
    header += ["quoted: paper, test, P / R / F1"]
    lines = []
    for experiment in read_experiments(group):
        results = found[experiment.name]
        columns = [mean_and_deviation([r["scores"][s] for r in results]) for s in ("accuracy", *SCORES)]
        columns.append(mean_and_deviation([r["as_listed"]["f1"] for r in results if r["as_listed"]]))
        one_pass = [r["as_listed"]["f1_of_one_pass"] for r in results if "f1_of_one_pass" in (r["as_listed"] or {})]
        columns.append(mean_and_deviation(one_pass))
        # Only in tables whose runs recorded it.
        averaged = [r["averaged"]["f1"] for r in results if "averaged" in r and group in ("recipe", "direction")]
        columns.append(mean_and_deviation(averaged) + of_the_seeds(averaged, results))
        columns.append(best_shift(results) if group == "recipe" else "")
        for side in ("listed", "swapped"):
            # Other tables would repeat the same shares.
            shares = [r["direction"][side] for r in results if group == "direction" and r["direction"]]
            columns.append(mean_and_deviation(shares))
        unknown = [r["direction"]["order_unknown"] for r in results if "order_unknown" in r["direction"]]
        for score in ("f1", "unrelated_given"):
            known = [one[score] for one in unknown] if group == "direction" else []
            columns.append(mean_and_deviation(known) + of_the_seeds(known, results))
        quoted = PAPER.get(experiment.name) if group in PAPER_GROUPS else None
        columns.append(" / ".join(f"{value:.2f}" for value in quoted) if quoted else "")
        lines.append([experiment.title, str(len(results)), *columns])
    return table_of(header, lines)


def category_table(group: str, found: dict[str, list[dict[str, Any]]]) -> str:
    """The paper's Table 3: F1 of six relations, one row each."""
    ran = [experiment for experiment in read_experiments(group) if found[experiment.name]]
    if not ran:
        return ""
    rows = found[ran[0].name][0]["per_relation"]
    header = [f"F1 on MNRE, {split_of(found)}", "rows", *[experiment.title for experiment in ran]]
    header += ["quoted: paper, test, rows", "HVPNeT", "TGDI"]
    lines = []
    for relation, quoted in PAPER_CATEGORIES.items():
        if relation not in rows:
            continue
        scores = [
            mean_and_deviation([result["per_relation"][relation]["f1"] for result in found[experiment.name]])
            for experiment in ran
        ]
        lines.append(
            [
                f"`{relation}`",
                str(rows[relation]["support"]),
                *scores,
                str(quoted[0]),
                *(f"{f1:.2f}" for f1 in quoted[1:]),
            ]
        )
    return table_of(header, lines)


def collect(group: str, folder: Path) -> str:
    r"""
    Writes `GROUP.json`, `GROUP.csv` (one line per run), `GROUP.md` (one row per experiment) and, if matplotlib is
    installed, `GROUP.png` beside the runs.

    Returns:
        The Markdown.
    """
    found = results_of(group, folder)
    table = main_table(group, found)
    if group in PAPER_GROUPS:
        table += "\n" + category_table(group, found)
    (folder / f"{group}.md").write_text(table, encoding="utf-8")
    runs = [result for results in found.values() for result in results]
    keep = (
        "experiment",
        "seed",
        "split",
        "scores",
        "as_listed",
        "macro_f1",
        "epochs",
        "direction",
        "train_rows",
    )
    short = [{name: run[name] for name in (*keep, "seconds", "command", "commit")} for run in runs]
    (folder / f"{group}.json").write_text(json.dumps(short, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    with (folder / f"{group}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        scores = ("accuracy", *SCORES)
        orders = ("listed", "swapped", "order_unknown_f1")
        writer.writerow(["experiment", "seed", *scores, "macro_f1", *orders, "train_rows"])
        for run in runs:
            values = [run["scores"][name] for name in scores] + [run["macro_f1"]]
            values += [run["direction"].get(name) for name in ("listed", "swapped")]
            values.append(run["direction"].get("order_unknown", {}).get("f1"))
            cells = ["" if value is None else f"{value:.4f}" for value in values]
            writer.writerow([run["experiment"]["name"], run["seed"], *cells, run["train_rows"]])
    draw(group, found, folder / f"{group}.png")
    return table

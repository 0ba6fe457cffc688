"""Collects the finished runs of a group: tables, one line per run, and a figure."""

import csv
import json
from pathlib import Path
from typing import Any

from .experiments import read_experiments, what_ran
from .figures import draw
from .tables import CATEGORY_GROUPS, SCORES, category_table, main_table


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
    for what, default in (("encoders", None), ("split", None), ("objects", "none"), ("train_vision", False)):
        refuse_unlike(group, what, [result.get(what, default) for result in runs])
    refuse_unlike(
        group, "data", [result["data"] for result in runs if "data" in result]
    )  # early runs did not record it
    return found


def refuse_unlike(where: str, what: str, values: list[Any]) -> None:
    unlike = [value for value in values if value != values[0]]
    if unlike:
        raise ValueError(f"{where}: cannot average runs with different {what}: {values[0]} and {unlike[0]}.")


def collect(group: str, folder: Path) -> str:
    r"""
    Writes `GROUP.json`, `GROUP.csv` (one line per run), `GROUP.md` (one row per experiment) and, if matplotlib is
    installed, `GROUP.png` beside the runs.

    Returns:
        The Markdown.
    """
    found = results_of(group, folder)
    tables = main_table(group, found)
    if group in CATEGORY_GROUPS:
        tables += "\n" + category_table(group, found)
    (folder / f"{group}.md").write_text(tables, encoding="utf-8")
    # Once each, also where two experiments of the group share their runs.
    shared = {experiment.run: found[experiment.name] for experiment in read_experiments(group)}
    runs = [result for results in shared.values() for result in results]
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
        orders = ("listed", "swapped", "order_unknown_f1")
        writer.writerow(["experiment", "seed", *SCORES, "macro_f1", *orders, "train_rows"])
        for run in runs:
            values = [run["scores"][name] for name in SCORES] + [run["macro_f1"]]
            values += [run["direction"].get(name) for name in ("listed", "swapped")]
            values.append(run["direction"].get("order_unknown", {}).get("f1"))
            cells = ["" if value is None else f"{value:.4f}" for value in values]
            writer.writerow([run["experiment"]["name"], run["seed"], *cells, run["train_rows"]])
    draw(group, found, folder / f"{group}.png")
    return tables

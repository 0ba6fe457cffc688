"""Markdown tables of finished runs: mean ± standard deviation with the number of seeds, and scores quoted from the
paper in columns of their own."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from tgdi_hf.evaluation.markdown import table
from tgdi_hf.evaluation.spread import mean_and_deviation
from tgdi_hf.modeling.negative_label import NEGATIVE

from .corpus import MNRE
from .experiments import CONVOLUTIONS, Experiment, read_experiments
from .paper import TABLE_2, TABLE_3

SCORES = {"accuracy": "accuracy", "precision": "precision", "recall": "recall", "f1": "F1"}
# Groups of experiments of the paper, and those of them with its Table 3.
PAPER_GROUPS = ("main", "ablations", "table2", "table3", "own_recipe")
CATEGORY_GROUPS = ("main", "ablations", "table3")

Runs = list[dict[str, Any]]


def main_table(group: str, found: dict[str, Runs]) -> str:
    """One row per experiment."""
    corpus, split = corpus_of(found), split_of(found)
    quote = group in PAPER_GROUPS and corpus == MNRE
    rows = []
    for experiment in read_experiments(group):
        row = {f"{corpus}, {split}": title_of(experiment, found[experiment.name])}
        row |= score_cells(group, found[experiment.name])
        if quote:
            scores = TABLE_2.get(experiment.name, ())
            row["quoted from the paper, test: P / R / F1"] = " / ".join(f"{score:.2f}" for score in scores)
        rows.append(row)
    return without_empty_columns(rows)


def title_of(experiment: Experiment, results: Runs) -> str:
    """The title of an experiment; with the word vectors of its runs, if it reads them."""
    if not results or experiment.model not in CONVOLUTIONS:
        return experiment.title
    return f"{experiment.title}, {results[0].get('glove') or 'random word vectors'}"


def score_cells(group: str, results: Runs) -> dict[str, str]:
    """The cells of an experiment by the name of their column, equal columns for all experiments of a group."""
    cells = {"seeds": str(len(results))}
    for score, title in SCORES.items():
        cells[title] = mean_and_deviation([result["scores"][score] for result in results])
    for control, title in {"no-caption": "without captions", "shuffled-captions": "captions of other posts"}.items():
        scores = [
            result["scored_under"][control]["f1"] for result in results if control in result.get("scored_under", {})
        ]
        cells[f"F1, {title}"] = mean_and_deviation(scores)
    listed = [result["as_listed"] for result in results if result["as_listed"]]
    one_pass = [scores["f1_of_one_pass"] for scores in listed if "f1_of_one_pass" in scores]
    cells["F1, listed-order prior"] = mean_and_deviation([scores["f1"] for scores in listed])
    cells["F1, listed-order prior, one pass"] = mean_and_deviation(one_pass)
    if group in ("recipe", "direction"):  # only in tables whose runs recorded it
        averaged = [result["averaged"]["f1"] for result in results if "averaged" in result]
        cells["F1, averaged weights"] = mean_and_deviation(averaged) + of_the_seeds(averaged, results)
    if group == "depth":
        times = [result["seconds_per_step"] for result in results if result["seconds_per_step"]]
        cells["seconds per training step, median"] = f"{median(times):.3f}" if times else ""
    if group == "recipe":
        cells["best F1 over shifts of the log-odds of `None`"] = best_shift(results)
    if group == "direction":  # other tables would repeat the same shares
        for order in ("listed", "swapped"):
            shares = [result["direction"][order] for result in results if result["direction"]]
            cells[f"false-positive rate on `None`, {order} order"] = mean_and_deviation(shares)
        unknown = [one["direction"]["order_unknown"] for one in results if "order_unknown" in one["direction"]]
        for title, score in (("F1", "f1"), ("false-positive rate on `None`", "unrelated_given")):
            known = [scores[score] for scores in unknown]
            cells[f"{title}, unknown order"] = mean_and_deviation(known) + of_the_seeds(known, results)
    return cells


def category_table(group: str, found: dict[str, Runs]) -> str:
    """F1 per relation, one row each: on MNRE the six of the paper's Table 3, otherwise all; empty without runs."""
    ran = [experiment for experiment in read_experiments(group) if found[experiment.name]]
    if not ran:
        return ""
    corpus, support = corpus_of(found), found[ran[0].name][0]["per_relation"]
    quoted = TABLE_3 if corpus == MNRE else {}
    rows = []
    for relation in quoted or support:
        if relation == NEGATIVE or relation not in support:
            continue
        row = {f"F1 on {corpus}, {split_of(found)}": f"`{relation}`", "rows": str(support[relation]["support"])}
        row |= {experiment.title: f1_of(relation, found[experiment.name]) for experiment in ran}
        if relation in quoted:
            rows_of_paper, *scores = quoted[relation]
            row["quoted from the paper, test: rows"] = str(rows_of_paper)
            row |= {f"quoted: {name}": f"{f1:.2f}" for name, f1 in zip(("HVPNeT", "TGDI"), scores)}
        rows.append(row)
    return without_empty_columns(rows)


def f1_of(relation: str, results: Runs) -> str:
    return mean_and_deviation([result["per_relation"][relation]["f1"] for result in results])


def best_shift(results: Runs) -> str:
    """The best F1 over shifts, averaged over seeds, and that shift; selected on the reported split."""
    curves = [result["none_shift"] for result in results if "none_shift" in result]
    if not curves:
        return ""
    shift = max(curves[0], key=lambda one: sum(curve[one] for curve in curves))
    best = mean_and_deviation([curve[shift] for curve in curves])
    return f"{best} at {shift}{of_the_seeds(curves, results)}"


def of_the_seeds(known: Sequence[Any], results: Runs) -> str:
    """A note where early runs did not record a score."""
    return f" ({len(known)} of {len(results)} seeds)" if known and len(known) < len(results) else ""


def without_empty_columns(rows: list[dict[str, str]]) -> str:
    """A Markdown table of rows with equal keys."""
    header = [name for name in rows[0] if any(row[name] for row in rows)] if rows else []
    return "".join(f"{line}\n" for line in table(header, [[row[name] for name in header] for row in rows]))


def corpus_of(found: dict[str, Runs]) -> str:
    """The name of the corpus; early runs, all on MNRE, did not record it."""
    return next((result.get("corpus", MNRE) for results in found.values() for result in results), MNRE)


def split_of(found: dict[str, Runs]) -> str:
    return next((result["split"] for results in found.values() for result in results), "validation")

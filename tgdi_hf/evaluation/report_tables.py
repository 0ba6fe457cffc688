"""A report as Markdown."""

from collections.abc import Mapping
from typing import Any

from .markdown import percent, table
from .score_counts import SCORES


def report_as_markdown(report: Mapping[str, Any]) -> str:
    """The conditions of a report, its tables in percent, and its notes."""
    lines = [_conditions(report), ""] if "scored" in report else []
    rows = [_row("all", {"rows": report["rows"], **report["scores"]})]
    for name, groups in report["groups"].items():
        rows += [_row(f"{name} {group}", values) for group, values in groups.items()]
    lines += table(["", "rows", "accuracy", "precision", "recall", "F1"], rows)
    lines += ["", "In percent, with 95 % intervals by bootstrap over posts.", ""]
    macro = percent(report["macro_f1"], *report["macro_f1_interval"])
    lines.append(f"Macro-F1 over the relations that have a row or are predicted: {macro}.")
    lines.append(f"Expected calibration error: {report['calibration']['ece']:.3f}.")
    if report.get("gate"):
        gate = report["gate"]
        lines.append(
            f"The gate as the probability that an image belongs to its text, over {gate['rows']:,} rows of which "
            f"{100 * gate['share']:.0f} % have the image of another post: expected calibration error {gate['ece']:.3f}"
            f", AUROC {gate['auroc']:.3f}."
        )
    if report.get("direction"):
        lines += _direction_lines(report["direction"])
    if report.get("robustness"):
        lines += ["", *_robustness_lines(report["robustness"])]
    if "comparison" in report:
        lines += ["", comparison_text(report["comparison"])]
    if report["paper_categories"]:
        lines += ["", *_relation_table("of the paper's Table 3", report["paper_categories"])]
    lines += ["", *_relation_table("relation", report["per_relation"])]
    return "\n".join(lines) + "\n"


def _conditions(report: Mapping[str, Any]) -> str:
    scored = report["scored"]
    parts = [f"{report['checkpoint']} on {scored['data']}, split {scored['split']}"]
    if scored["objects"] != "none":
        parts.append(f"**with {scored['objects']} object crops, whose number gives the label away**")
    if scored["control"] is not None:
        parts.append(
            f"**under the control {scored['control']}, which changed {scored['changed']:,} of {report['rows']:,} rows**"
        )
    if scored["listed_order"]:
        parts.append("with the entity-order prior estimated from the train split")
    return ", ".join(parts) + "."


def _row(name: str, values: Mapping[str, Any]) -> list[str]:
    return [name, f"{values['rows']:,}", *(percent(**values[score]) for score in SCORES)]


def _relation_table(title: str, relations: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            f"`{name}`",
            str(scores["support"]),
            percent(scores["precision"]),
            percent(scores["recall"]),
            percent(scores["f1"], *(scores["f1_interval"] or ())),
        ]
        for name, scores in relations.items()
    ]
    return table([title, "rows", "precision", "recall", "F1"], rows)


def _direction_lines(direction: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Share of rows without a relation for which one is predicted: {percent(direction['listed'])} % as listed, "
        f"{percent(direction['swapped'])} % with head and tail swapped."
    ]
    if direction.get("order_unknown"):
        unknown = {name: percent(value) for name, value in direction["order_unknown"].items()}
        lines.append(
            "With the order of head and tail unknown, as when all pairs of a post are scored: precision "
            f"{unknown['precision']}, recall {unknown['recall']}, F1 {unknown['f1']}, and "
            f"{unknown['unrelated_given']} % of the rows without a relation for which one is predicted."
        )
    return lines


def _robustness_lines(robustness: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            control,
            f"{found['rows']:,}",
            *(percent(**found[name]) for name in ("unchanged", "perturbed", "drop")),
            percent(found["answers"]),
        ]
        for control, found in robustness.items()
    ]
    header = ["perturbation", "rows", "F1 as they are", "F1 perturbed", "drop", "answers that change"]
    note = "Rows with an image or, for captions, with a caption. Drops have paired 95 % intervals."
    return [*table(header, rows), "", note]


def comparison_text(comparison: Mapping[str, Any]) -> str:
    """A comparison, with the name of the other model in `with`, as a sentence."""
    f1, test = comparison["f1"], comparison["mcnemar"]
    low, high = (100 * bound for bound in f1["interval"])
    return (
        f"F1 minus that of {comparison['with']}: {100 * f1['difference']:+.1f} points ({low:+.1f} to {high:+.1f}), "
        f"paired bootstrap over posts p = {f1['p']:.3f}; rows that only this model classifies correctly "
        f"{test['only_two']}, only the other {test['only_one']}, McNemar (rows taken as independent) p = "
        f"{test['p']:.3f}. This compares two checkpoints; a comparison of two ways of training needs several seeds."
    )

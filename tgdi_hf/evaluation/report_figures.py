"""The figures of a report: reliability diagrams, confusion matrix and robustness."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_calibration(axes: "Axes", report: Mapping[str, Any]) -> None:
    """Accuracy over confidence; the area of a point grows with the rows of its bin."""
    _draw_bins(axes, report["calibration"], report["rows"])
    axes.set(xlabel="confidence", ylabel="accuracy")


def draw_gate(axes: "Axes", report: Mapping[str, Any]) -> None:
    """The share of images that belong to their text over the mean of the gate, likewise."""
    _draw_bins(axes, report["gate"], report["gate"]["rows"])
    axes.set(xlabel="gate", ylabel="images that belong to the text")


def _draw_bins(axes: "Axes", found: Mapping[str, Any], rows: int) -> None:
    bins = found["bins"]
    sizes = [20 + 300 * one["rows"] / rows for one in bins]
    axes.plot([0, 1], [0, 1], color="#999999", linewidth=1)
    axes.scatter([one["confidence"] for one in bins], [one["accuracy"] for one in bins], sizes, color="#3b6ea5")
    axes.set(xlim=(0, 1), ylim=(0, 1), title=f"expected calibration error {found['ece']:.3f}")


def draw_confusion(axes: "Axes", report: Mapping[str, Any]) -> None:
    """Counts of rows by true and predicted label, coloured by their share of the true label."""
    matrix = report["confusion"]["matrix"]
    shares = [[count / max(sum(row), 1) for count in row] for row in matrix]
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    names = report["confusion"]["names"]
    axes.set_xticks(range(len(names)), names, rotation=90, fontsize=7)
    axes.set_yticks(range(len(names)), names, fontsize=7)
    for i, row in enumerate(matrix):
        for j, count in enumerate(row):
            if count:
                color = "white" if shares[i][j] > 0.5 else "black"
                axes.text(j, i, count, ha="center", va="center", fontsize=6, color=color)
    axes.set(xlabel="predicted", ylabel="real")


def draw_robustness(axes: "Axes", report: Mapping[str, Any]) -> None:
    """F1 with 95 % intervals, of the rows as they are and under each perturbation."""
    found = report["robustness"]
    for name, color, shift in (("unchanged", "#999999", -0.15), ("perturbed", "#3b6ea5", 0.15)):
        scores = [of_control[name] for of_control in found.values()]
        values = [100 * score["value"] for score in scores]
        bounds = [
            [0 if score[bound] is None else abs(100 * score[bound] - value) for score, value in zip(scores, values)]
            for bound in ("low", "high")
        ]
        label = "as they are" if name == "unchanged" else "perturbed"
        places = [place + shift for place in range(len(found))]
        axes.errorbar(values, places, xerr=bounds, fmt="o", color=color, capsize=3, label=label)
    axes.set_yticks(
        range(len(found)), [f"{control}\n{of_control['rows']:,} rows" for control, of_control in found.items()]
    )
    axes.set(xlim=(0, 100), xlabel="F1")
    axes.invert_yaxis()
    axes.legend()

"""The figure of an explanation: images with heat maps, relation scores, and the influence of the images."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np

from ..extras import require
from .explanation import ExplainedImage, Panel, format_relation
from .heat_map import BAR_COLOURS, SCALE_LABEL

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure


def check_figure(path: Path) -> None:
    """Raises ValueError for a file format that matplotlib cannot write; called before a model is loaded."""
    from matplotlib.figure import Figure

    formats = Figure().canvas.get_supported_filetypes()
    if path.suffix.lower().removeprefix(".") not in formats:
        raise ValueError(
            f"{path}: expected a file name ending in .png, .svg or .pdf; matplotlib writes {', '.join(formats)}."
        )


def figure(result: Mapping[str, Any], images: Sequence[ExplainedImage]) -> "Figure":
    r"""
    Draws the output of `explain`: a row per image with its heat maps above, relation scores and the influence of the
    images below.

    Args:
        result: The pipeline's result with evidence.
        images: The images of the post; may be empty.

    Returns:
        `matplotlib.figure.Figure`.

    Raises:
        ImportError: matplotlib is not installed (`pip install 'tgdi_hf[viz]'`).
    """
    require("matplotlib", "viz", "Drawing a figure")
    from matplotlib.figure import Figure

    rows = [[image.seen(), *map(image.map, image.maps)] for image in images]
    columns, height = max(map(len, rows), default=0), 3.1 * len(rows)
    drawn = Figure(figsize=(3 * max(columns, 3), height + 3.1), layout="constrained")
    above, below = drawn.subfigures(2, 1, squeeze=False, height_ratios=[height, 3.1])[:, 0] if rows else (None, drawn)
    relations, influence = below.subplots(1, 2, width_ratios=[2, 1])
    names = [one["relation"] for one in result["relations"]][::-1]
    bars = relations.barh(names, [one["score"] for one in result["relations"]][::-1], color="#3b6ea5")
    relations.bar_label(bars, fmt="%.2f", padding=3)
    relations.set(xlim=(0, 1.12), title=f"{result['head']['text']} → {result['tail']['text']}")
    text_only = result["evidence"]["text_only"]
    relations.set_xlabel(f"text alone: {format_relation(text_only)}")
    _draw_influence(influence, result)
    if above is not None:
        _draw_images(above, rows, columns)
    return drawn


def _draw_images(part: "SubFigure", rows: Sequence[Sequence[Panel]], columns: int) -> None:
    """A row of panels per image, with the colour bar of the heat maps if there are any."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    grid = part.subplots(len(rows), columns, squeeze=False)
    for axes, panel in zip(grid.flat, (panel for row in rows for panel in row)):
        axes.imshow(np.asarray(panel.image))
        axes.set_title(fill(panel.title, 36), fontsize=10)
        axes.axis("off")
    if columns > 1:
        colours = LinearSegmentedColormap.from_list("cosine", np.array(BAR_COLOURS) / 255)
        bar = part.colorbar(ScalarMappable(Normalize(-1, 1), colours), ax=grid, ticks=[-1, -0.5, 0, 0.5, 1], aspect=30)
        bar.set_label(SCALE_LABEL)


def _draw_influence(axes: "Axes", result: Mapping[str, Any]) -> None:
    """The gate's mean with its interquartile range, and the shares of the two branches of Eq. 14."""
    evidence, shown = result["evidence"], {}
    if evidence["matching_gate"] is not None:
        is_probability = evidence["matching_gate"]["is_probability"]
        shown["image belongs to text" if is_probability else "matching gate"] = evidence["matching_gate"]["mean"]
    if evidence["branches"] is not None:
        shown["cross-modal branch"] = evidence["branches"]["cross_modal"]
        shown["text-oriented branch"] = evidence["branches"]["text_oriented"]
    names = list(shown)[::-1]
    bars = axes.barh(names, [shown[name] for name in names], color=["#b0b0b0"] * (len(names) - 1) + ["#e6550d"])
    axes.bar_label(bars, fmt="%.2f", padding=3)
    if evidence["matching_gate"] is not None:
        _, low, _, high, _ = evidence["matching_gate"]["quantiles"]
        axes.plot([low, high], [len(names) - 0.68] * 2, color="black", linewidth=2)  # interquartile range over channels
    axes.set(xlim=(0, 1.15), title="influence")

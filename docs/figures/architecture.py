"""Draw the data flow of TGDI with the equations of the paper.

python docs/figures/architecture.py        # writes architecture.svg beside this file; needs the extra `viz`
"""

from pathlib import Path

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

TEXT, VISION, FUSION, INPUT = "#dbe9f6", "#fde3cf", "#e4f1df", "#f4f4f4"
LINE = "#404040"
LEFT, MIDDLE, RIGHT = 1.5, 5.0, 8.5  # centres of the columns: enhanced text, vision, text


def box(axes: Axes, x: float, y: float, title: str, note: str = "", colour: str = FUSION, width=2.7, height=0.95):
    """A rounded box around (x, y) with a bold title and a smaller note below it."""
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0,rounding_size=0.12"
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=colour, edgecolor=LINE, lw=1.1))
    axes.text(x, y + (0.2 if note else 0), title, ha="center", va="center", fontsize=11, weight="bold")
    if note:
        axes.text(x, y - 0.22, note, ha="center", va="center", fontsize=9.5)


def arrow(axes: Axes, *points: tuple[float, float], label: str = "", at: tuple[float, float] | None = None) -> None:
    """A line through `points` with a head at the last one, and a label centred at `at`."""
    *path, end = points
    if len(path) > 1:
        axes.plot(*zip(*path), color=LINE, lw=1.3, solid_joinstyle="miter")
    style = {"arrowstyle": "-|>", "color": LINE, "lw": 1.3, "shrinkA": 0, "shrinkB": 0, "mutation_scale": 13}
    axes.annotate("", xy=end, xytext=path[-1], arrowprops=style)
    if label and at is not None:
        axes.text(*at, label, ha="center", va="center", fontsize=11)


def draw() -> Figure:
    """The figure: three columns of inputs and encoders, fused from top to bottom."""
    figure = Figure(figsize=(8.2, 9.4))
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(-0.25, 10.25), ylim=(-0.35, 11.75), aspect="equal")
    axes.axis("off")

    box(axes, LEFT, 11.1, "text and caption", "$T_e$, entities marked", INPUT)
    box(axes, MIDDLE, 11.1, "image and objects", "$I$, $O$; may be missing", INPUT)
    box(axes, RIGHT, 11.1, "text", "$T$, entities marked", INPUT)

    box(axes, LEFT, 7.9, "cross-modal\ninteraction", "", TEXT, height=1.5)
    axes.text(LEFT, 7.36, "Eq. 4, 6", ha="center", va="center", fontsize=9.5)
    box(axes, MIDDLE, 9.5, "vision encoder", "$V_0 \\ldots V_{12}$", VISION)
    box(axes, MIDDLE - 0.25, 7.9, "visual prompts", "Eq. 1–3, 5", VISION, width=2.2)
    box(axes, RIGHT, 9.5, "text encoder", "$H$", TEXT)
    box(axes, RIGHT, 7.9, "self-attention", "$H_s$, Eq. 7")
    box(axes, MIDDLE, 6.0, "text-modulated\nmatching gate", "", FUSION, height=1.35)
    axes.text(MIDDLE, 5.53, "Eq. 8–10", ha="center", va="center", fontsize=9.5)
    box(axes, LEFT, 4.3, "$f_2 = m \\odot f_1$", "Eq. 11", FUSION)
    box(axes, RIGHT, 4.3, "text-oriented\ninteraction", "", TEXT, height=1.35)
    axes.text(RIGHT, 3.83, "Eq. 12, 13", ha="center", va="center", fontsize=9.5)
    box(axes, MIDDLE, 2.2, "$R = \\lambda f_3 + (1 - \\lambda) f_1$", "fusion, Eq. 14", FUSION, width=3.6)
    box(axes, MIDDLE, 0.45, "classifier", "at both entity markers, Eq. 15, 16", FUSION, width=3.6)

    arrow(axes, (LEFT, 10.62), (LEFT, 8.65))
    arrow(axes, (MIDDLE, 10.62), (MIDDLE, 9.98))
    arrow(axes, (RIGHT, 10.62), (RIGHT, 9.98))
    arrow(axes, (MIDDLE - 0.25, 9.02), (MIDDLE - 0.25, 8.38))
    arrow(axes, (MIDDLE - 1.35, 7.9), (LEFT + 1.35, 7.9), label="$\\alpha_l$", at=(3.25, 8.15))
    arrow(axes, (MIDDLE + 1.1, 9.02), (MIDDLE + 1.1, 6.68), label="patches", at=(MIDDLE + 0.5, 7.15))
    arrow(axes, (RIGHT, 9.02), (RIGHT, 8.38))
    arrow(axes, (RIGHT - 0.7, 7.42), (RIGHT - 0.7, 6.0), (MIDDLE + 1.35, 6.0), label="$H_s$", at=(7.1, 6.25))
    arrow(axes, (RIGHT, 7.42), (RIGHT, 4.98), label="$H_s$", at=(RIGHT + 0.3, 6.2))
    arrow(axes, (LEFT + 0.5, 7.15), (LEFT + 0.5, 4.78), label="$f_1$", at=(LEFT + 0.2, 6.0))
    arrow(axes, (MIDDLE - 1.35, 6.0), (LEFT + 1.0, 6.0), (LEFT + 1.0, 4.78), label="$m$", at=(3.1, 6.22))
    arrow(axes, (LEFT + 1.35, 4.3), (RIGHT - 1.35, 4.3), label="prefixes $\\beta_l$ from $f_2$", at=(MIDDLE, 4.55))
    arrow(axes, (RIGHT, 3.62), (RIGHT, 2.2), (MIDDLE + 1.8, 2.2), label="$f_3$", at=(RIGHT - 0.3, 2.9))
    arrow(axes, (LEFT - 1.0, 7.15), (LEFT - 1.0, 5.6), (-0.1, 5.6), (-0.1, 2.2), (MIDDLE - 1.8, 2.2))
    axes.text(1.4, 2.45, "$f_1$", ha="center", va="center", fontsize=11)
    arrow(axes, (MIDDLE, 1.72), (MIDDLE, 0.93))
    axes.text(LEFT, 0.45, "blue: one text encoder,\nshared by default", ha="center", va="center", fontsize=9.5)
    return figure


if __name__ == "__main__":
    # Equal runs write equal bytes.
    matplotlib.rcParams["svg.hashsalt"] = "tgdi_hf"
    draw().savefig(Path(__file__).with_suffix(".svg"), metadata={"Date": None}, facecolor="white")

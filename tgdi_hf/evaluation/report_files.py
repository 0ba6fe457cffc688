"""A report as files: JSON, Markdown and figures."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .report_figures import draw_calibration, draw_confusion, draw_gate, draw_robustness
from .report_tables import report_as_markdown


def write_report(report: Mapping[str, Any], folder: str | Path) -> bool:
    r"""
    Writes `report.json`, `report.md` and, if matplotlib is installed (`pip install 'tgdi_hf[viz]'`), `calibration.png`,
    `confusion.png` and, if the robustness of the model was examined, `robustness.png` and, for a gate that is a
    probability, `gate.png`.

    Returns:
        Whether the figures were written.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / "report.md").write_text(report_as_markdown(report), encoding="utf-8")
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figures: list[tuple[str, Callable, tuple[float, float]]] = [
        ("calibration", draw_calibration, (5, 5)),
        ("confusion", draw_confusion, (10, 9)),
    ]
    if report.get("robustness"):
        figures.append(("robustness", draw_robustness, (7, 3.5)))
    if report.get("gate"):
        figures.append(("gate", draw_gate, (5, 5)))
    for name, draw, size in figures:
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots(), report)
        figure.savefig(folder / f"{name}.png", dpi=110)
    return True

"""The findings of an audit as Markdown."""

from collections.abc import Mapping
from typing import Any

from .audit import NOTEWORTHY_AREA
from .markdown import percent, table


def audit_as_markdown(found: Mapping[str, Any], most: int = 8) -> str:
    r"""
    Args:
        found: The findings of `audit`.
        most: The number of features per target, best first.
    """
    lines = [f"{found['rows']:,} rows of {found['split']}; guessed without a word of text or a pixel, in percent.", ""]
    for target, guessed in found["targets"].items():
        lines += [f"**{target}**", "", *_target_table(guessed, most), ""]
    if found["shared"]:
        rows = [
            [split, *(f"{shared[kind]:,}" for kind in ("texts", "images", "pairs", "rows"))]
            for split, shared in found["shared"].items()
        ]
        lines += [*table(["rows with what the split has, too", "texts", "images", "pairs of entities", "of"], rows), ""]
    noteworthy = ", ".join(found["noteworthy"]) or "none"
    lines.append(
        f"Features that by themselves gain more than a point, or have an area under the ROC curve above "
        f"{100 * NOTEWORTHY_AREA:.0f}, beyond doubt: {noteworthy}."
    )
    return "\n".join(lines) + "\n"


def _target_table(guessed: Mapping[str, Any], most: int) -> list[str]:
    header = ["guessed from", "accuracy", "gain over the commonest answer"]
    if "area" in guessed:
        header.append("area under ROC")
    rows = [["the commonest answer", percent(guessed["majority"]), *[""] * (len(header) - 2)]]
    for one in ({"feature": "**all of it**", **guessed}, *guessed["features"][:most]):
        rows.append([one["feature"], percent(one["accuracy"]), percent(**one["gain"], form="+.1f")])
        if "area" in guessed:
            rows[-1].append(percent(**one["area"]))
    return table(header, rows)

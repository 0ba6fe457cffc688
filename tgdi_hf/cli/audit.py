"""`tgdi audit`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from .arguments import check_split, make_parent, negative_label
from .options import Data, Negative, NoNegative


def audit(
    data: Data,
    split: Annotated[str, typer.Option(help="Split whose labels are predicted.")] = "train",
    objects: Annotated[
        str,
        typer.Option(help="'none', or 'published': include the number of crops that the MNRE release lists per row."),
    ] = "none",
    negative: Negative = None,
    no_negative: NoNegative = False,
    seed: int = 0,
    output: Annotated[Path | None, typer.Option(help="Write all findings to this JSON file.")] = None,
) -> None:
    """Find label leaks: how well do features other than text and pixels predict the labels? Needs the extra `audit`.

    Example: tgdi audit path/to/mnre
    """
    from ..data.loading import load_data
    from ..data.mnre_crops import listed_crops
    from ..evaluation.audit import audit as find_leaks
    from ..evaluation.audit_tables import audit_as_markdown
    from ..extras import require

    require("sklearn", "audit", "The audit", package="scikit-learn")
    if objects not in ("none", "published"):
        raise typer.BadParameter(f"Expected 'none' or 'published'; found {objects!r}.", param_hint="--objects")
    make_parent(output)
    chosen = negative_label(negative, no_negative)
    dataset = load_data(data, negative=chosen)
    check_split(data, dataset, split)
    extra = {}
    if objects == "published":
        listed = listed_crops(data, split)
        extra["published crops listed"] = [listed[name] for name in dataset[split]["id"]]
    findings = find_leaks(dataset, split, extra, seed, chosen)
    typer.echo(audit_as_markdown(findings))
    if output is not None:
        output.write_text(json.dumps(findings, indent=2) + "\n")

"""Significance of the difference between two runs scored on the same rows."""

import json
from pathlib import Path

import numpy as np

from tgdi_hf.data.dataset_columns import texts_of
from tgdi_hf.data.loading import load_data
from tgdi_hf.evaluation.comparison import compare_predictions
from tgdi_hf.evaluation.report_tables import comparison_text
from tgdi_hf.modeling.negative_label import NEGATIVE


def compare(data: Path, one: Path, two: Path) -> str:
    r"""
    Args:
        data: The data both runs were scored on; tells which rows share a post.
        one, two: JSON files of runs.

    Raises:
        ValueError: A run was scored on other rows.
    """
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in (one, two)]
    rows = load_data(data)[runs[0]["split"]]
    labels = np.array(rows["label"][:])
    for file, run in zip((one, two), runs):
        if run["labels"] != labels.tolist():
            raise ValueError(f"{file} was scored on split {run['split']!r} of data other than {data}.")
    negative = rows.features["label"].names.index(NEGATIVE)
    answers = (np.array(run["answers"]) for run in runs)
    found = compare_predictions(*answers, labels, negative, texts_of(rows))
    return f"{two.stem}: {comparison_text({'with': one.stem, **found})}"

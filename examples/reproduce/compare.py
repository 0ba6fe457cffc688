"""Two runs, scored on the same rows: is one better by more than the choice of posts explains?"""

import json
from pathlib import Path

import numpy as np

from tgdi_hf.mnre import NEGATIVE
from tgdi_hf.posts import texts_of
from tgdi_hf.statistics import mcnemar, paired_difference, row_counts, summed_by
from tgdi_hf.training import load_data


def compare(data: Path, one: Path, two: Path) -> str:
    r"""
    Args:
        data: What both were scored on; which rows belong to one post is read from it.
        one, two: JSON files of runs.

    Raises:
        ValueError: The runs were not scored on these rows.
    """
    runs = [json.loads(file.read_text(encoding="utf-8")) for file in (one, two)]
    rows = load_data(data)[runs[0]["split"]]
    labels = np.array(rows["label"][:])
    for file, run in zip((one, two), runs):
        if run["labels"] != labels.tolist():
            raise ValueError(f"{file} was scored on the split {run['split']!r} of other data than {data}.")
    negative = rows.features["label"].names.index(NEGATIVE)
    answers, posts = [np.array(run["answers"]) for run in runs], texts_of(rows)
    found = paired_difference(*(summed_by(row_counts(answer, labels, negative), posts) for answer in answers))
    test = mcnemar(*(answer == labels for answer in answers))
    low, high = (100 * bound for bound in found["interval"])
    return (
        f"F1 of {two.stem} minus that of {one.stem}: {100 * found['difference']:+.2f} ({low:+.2f} to {high:+.2f}), "
        f"paired bootstrap over posts p = {found['p']:.3f}; rows that {two.stem} alone gets right {test['only_two']}, "
        f"{one.stem} alone {test['only_one']}, McNemar, as if rows were independent, p = {test['p']:.3f}. Two runs say "
        "nothing of how much seeds differ."
    )

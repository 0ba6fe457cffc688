"""Whether a model can be misled: its scores with other images and captions than those of the posts."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset
from torch.utils.data import Subset

from ..data.perturbed import NothingToPerturb, PerturbedDataset
from ..processing.processing_tgdi import TGDIProcessor
from .bootstrap import ROUNDS
from .comparison import paired_difference
from .probabilities import probabilities_of
from .report_groups import MIN_ROWS, scores_with_intervals
from .score_counts import row_counts, sum_by_group

# In the order of the report; those of captions are left out for a model that reads none.
IMAGE_CONTROLS = ("shuffled-images", "blank-images", "noise-images", "no-image")
CAPTION_CONTROLS = ("shuffled-captions", "no-caption")


def robustness(
    model: Any,
    processor: TGDIProcessor,
    names: Sequence[str],
    dataset: Dataset,
    predictions: np.ndarray,
    posts: Sequence[Any] | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
    **arguments: Any,
) -> dict[str, dict[str, Any]]:
    r"""
    Scores a model on the rows that have an image or a caption, once more under each perturbation of it.

    Args:
        model: A TGDI model.
        processor: Its processor.
        names: The relations in the order of their ids.
        dataset: Rows with `label`, in the numbering of the model.
        predictions: `(rows,)`, ids predicted for these rows as they are.
        posts: `(rows,)`, the post of each row; by default each row is a post of its own.
        rounds: Number of bootstrap samples.
        seed: Seed of the perturbations and of the bootstrap.
        arguments: Fields of `TrainingArguments`.

    Returns:
        From each perturbation that changes what the model reads (see `PerturbedDataset`) to the number of `rows` that
        it changes; their F1 without the negative label, `unchanged` and `perturbed`, with 95 % intervals by bootstrap
        over posts; the `drop` of F1, with its paired 95 % interval; and `answers`, the share of these rows whose answer
        changes. With fewer than 30 rows there are no intervals.
    """
    controls = [*(IMAGE_CONTROLS if model.config.uses_vision else ())]
    controls += CAPTION_CONTROLS if processor.use_caption else ()
    none = None if model.config.none_label is None else names.index(model.config.id2label[model.config.none_label])
    labels, found = np.array(dataset["label"][:]), {}
    for control in controls:
        try:
            perturbed = PerturbedDataset(dataset, control, seed=seed)
        except NothingToPerturb:
            continue
        changed = perturbed.changed
        rows: Any = Subset(perturbed, changed.tolist())  # type: ignore[arg-type]  # any sequence will do
        answers = probabilities_of(model, processor, names, rows, **arguments).argmax(axis=1)
        members = None if posts is None else [posts[row] for row in changed.tolist()]
        before, after = (row_counts(ids, labels[changed], none) for ids in (predictions[changed], answers))
        unchanged, now = (scores_with_intervals(counts, rounds, seed, members)["f1"] for counts in (before, after))
        drop = paired_difference(sum_by_group(after, members), sum_by_group(before, members), rounds, seed)
        low, high = drop["interval"]
        result = {
            "unchanged": unchanged,
            "perturbed": now,
            "drop": {"value": drop["difference"], "low": low, "high": high},
        }
        if len(changed) < MIN_ROWS:
            result = {name: {**value, "low": None, "high": None} for name, value in result.items()}
        share = float((answers != predictions[changed]).mean())
        found[control] = {"rows": len(changed), **result, "answers": share}
    return found

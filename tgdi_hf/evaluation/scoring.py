"""Scoring a checkpoint on one split."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from datasets import Dataset

from ..data.perturbed import PerturbedDataset
from ..modeling.negative_label import AUTO
from .answers import metrics_of
from .checkpoint_loading import load_for_evaluation, prior_rows
from .order_prior import probabilities_with_order_prior
from .probabilities import RowsByLength, rows_to_score, scoring_trainer


def evaluate(
    checkpoint: str | Path,
    dataset: Dataset,
    output_dir: str | Path | None = None,
    control: PerturbedDataset | None = None,
    train: Dataset | None = None,
    negative: str | None = AUTO,
    revision: str | None = None,
    **arguments: Any,
) -> dict[str, float]:
    r"""
    Scores a checkpoint on one split.

    Args:
        checkpoint: A fine-tuned model with its processor.
        dataset: Rows with `label`; its names are the model's relations, or some of them, in any order.
        output_dir: Folder that `Trainer` may write to; a temporary folder by default.
        control: The same rows, perturbed; see `PerturbedDataset`.
        train: The training rows of a model that was trained on both orders; the entity-order prior estimated from them
            is applied to the predictions, see `estimate_order_prior`.
        negative: The label that stands for no relation, or `None` if every label is a relation; by default the one in
            the model's configuration.
        revision: Branch, tag or commit of `checkpoint` on the Hub.
        arguments: Fields of `TrainingArguments` (`per_device_eval_batch_size`, `bf16_full_eval`, ...).

    Returns:
        `eval_accuracy` over all rows; micro `eval_precision`, `eval_recall` and `eval_f1` without the negative label;
        and precision, recall, F1 and support of each relation.

    Raises:
        ValueError: The checkpoint is not a TGDI model, the data has a relation that the model does not know, or `train`
            is given for a model that was not trained on both orders.
    """
    model, processor, names, dataset = load_for_evaluation(checkpoint, dataset, negative, revision)
    rows = rows_to_score(dataset, control)
    if train is not None:
        train = prior_rows(model, names, train, checkpoint)
        probabilities = probabilities_with_order_prior(model, processor, names, rows, dataset, train, **arguments)
        return metrics_of(
            {
                "names": names,
                "negative": model.config.negative_label,
                "labels": np.array(dataset["label"][:]),
                "probabilities": probabilities,
            }
        )
    with TemporaryDirectory() as scratch:
        trainer = scoring_trainer(model, processor, output_dir or scratch, names, **arguments)
        return trainer.evaluate(RowsByLength(rows, processor), metric_key_prefix="eval")

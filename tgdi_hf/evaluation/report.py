"""The report on a checkpoint: scores, calibration, sensitivity to entity order, and comparison with another one."""

from pathlib import Path
from typing import Any

import numpy as np
from datasets import Dataset

from ..data.dataset_columns import texts_of
from ..data.entity_order import fold_inverse_probabilities
from ..data.perturbed import PerturbedDataset
from ..modeling.negative_label import AUTO
from .answers import Answers
from .bootstrap import ROUNDS
from .checkpoint_loading import load_for_evaluation, prior_rows
from .comparison import compare_predictions
from .gate_reliability import gate_reliability
from .order_prior import mean_of_both_orders, probabilities_with_order_prior, with_order_prior
from .order_sensitivity import order_sensitivity
from .probabilities import SwappedPairs, probabilities_of, rows_to_score
from .report_groups import grouping_columns
from .report_scores import report_of
from .robustness import robustness


def evaluation_report(
    checkpoint: str | Path,
    dataset: Dataset,
    compare: str | Path | None = None,
    control: PerturbedDataset | None = None,
    rounds: int = ROUNDS,
    seed: int = 0,
    train: Dataset | None = None,
    negative: str | None = AUTO,
    revision: str | None = None,
    perturb: bool = True,
    **arguments: Any,
) -> tuple[dict[str, Any], Answers]:
    r"""
    Scores a checkpoint on one split, with intervals, groups of posts, calibration, sensitivity to entity order, and
    robustness to other images and captions.

    Args:
        checkpoint: A fine-tuned model with its processor.
        dataset: Rows with `label`.
        compare: Another checkpoint to compare with on the same rows.
        control: The same rows, perturbed; see `PerturbedDataset`.
        rounds: Number of bootstrap samples.
        seed: Seed of the bootstrap.
        train: As in `evaluate`. The prior is applied neither to `direction` nor to a checkpoint in `compare` that was
            not trained on both orders.
        negative: As in `evaluate`.
        revision: As in `evaluate`.
        perturb: Whether to examine the robustness of the model, which takes up to six further passes over the rows with
            an image or a caption. Without effect on rows that `control` has perturbed.
        arguments: Fields of `TrainingArguments`.

    Returns:
        - The report as plain JSON: the entries of `report_of`; `direction`, see `order_sensitivity`; `robustness`, see
          there, without the entity-order prior; and with `compare`, `comparison`: the F1 of `checkpoint` minus that of
          the other, by paired bootstrap over posts, and McNemar's test, which treats rows as independent (`only_one`
          counts the rows that only the other checkpoint predicts correctly).
        - The scored rows behind it.

    Raises:
        ValueError: The data has a relation that a model does not know, `train` is given for a model that was not
            trained on both orders, or the model is multi-label.
    """
    as_given, as_listed = dataset, train  # with their own label ids
    model, processor, names, dataset = load_for_evaluation(checkpoint, as_given, negative, revision)
    if model.config.thresholds is not None:
        raise ValueError(
            f"The model in {checkpoint} is multi-label; the report requires rows with one label each. Score it with "
            "`evaluate` (`tgdi evaluate` without `--report`)."
        )
    negative = model.config.negative_label
    if train is not None:
        train = prior_rows(model, names, train, checkpoint)
    rows, labels = rows_to_score(dataset, control), np.array(dataset["label"][:])
    listed = probabilities_of(model, processor, names, rows, directed=True, **arguments)
    probabilities = fold_inverse_probabilities(listed, names, negative)
    direction, swapped = {}, None
    if negative is not None:
        swapped = probabilities_of(model, processor, names, SwappedPairs(rows), directed=True, **arguments)
        direction = {"direction": order_sensitivity(listed, swapped, labels, names, model.config, dataset)}
    if train is not None:
        both = mean_of_both_orders(listed, swapped, names, model.config)
        probabilities = with_order_prior(both, model, names, dataset, train)
    columns, posts = grouping_columns(dataset, control), texts_of(dataset)
    report = report_of(probabilities, labels, names, columns, rounds, seed, posts, negative)
    report |= {"checkpoint": str(checkpoint), "as_listed": train is not None, **direction}
    if perturb and control is None:
        plain = fold_inverse_probabilities(listed, names, negative).argmax(axis=1)
        report["robustness"] = robustness(model, processor, names, dataset, plain, posts, rounds, seed, **arguments)
        if model.config.gate_is_probability:
            report["gate"] = gate_reliability(model, processor, dataset, seed)
    if compare is not None:
        other = predictions_of(compare, as_given, control, as_listed, names, **arguments)
        none = None if negative is None else names.index(negative)
        compared = compare_predictions(other, probabilities.argmax(axis=1), labels, none, posts, rounds, seed)
        report["comparison"] = {"with": str(compare), **compared}
    return report, {"names": names, "negative": negative, "labels": labels, "probabilities": probabilities}


def predictions_of(
    checkpoint: str | Path,
    dataset: Dataset,
    control: PerturbedDataset | None,
    train: Dataset | None,
    names: list[str],
    **arguments: Any,
) -> np.ndarray:
    r"""
    The predictions of another checkpoint for the same rows.

    Args:
        checkpoint: A fine-tuned model with its processor.
        dataset: Rows with `label`.
        control: The same rows, perturbed.
        train: The training rows; their entity-order prior is applied to a checkpoint trained on both orders.
        names: The relations that the returned ids are indices into.
        arguments: Fields of `TrainingArguments`.

    Returns:
        `(rows,)`, ids; `len(names)` for a relation that is not in `names`.
    """
    model, processor, known, dataset = load_for_evaluation(checkpoint, dataset)
    rows = rows_to_score(dataset, control)
    if train is not None and model.config.direction_balanced:
        train = prior_rows(model, known, train, checkpoint)
        probabilities = probabilities_with_order_prior(model, processor, known, rows, dataset, train, **arguments)
    else:
        probabilities = probabilities_of(model, processor, known, rows, **arguments)
    # The two models may number relations differently, and one may know more of them than the other.
    ids = np.array([names.index(name) if name in names else len(names) for name in known])
    return ids[probabilities.argmax(axis=1)]

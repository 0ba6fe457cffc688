"""Probabilities of a model trained on both entity orders, with the prior of the order in which a corpus lists pairs."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from datasets import Dataset

from ..data.entity_order import (
    apply_order_prior,
    average_both_orders,
    estimate_order_prior,
    fold_inverse_probabilities,
    swapped_labels,
)
from ..modeling.negative_label import negative_of
from ..processing.processing_tgdi import TGDIProcessor
from .probabilities import SwappedPairs, probabilities_of


def probabilities_with_order_prior(
    model: Any,
    processor: TGDIProcessor,
    names: Sequence[str],
    rows: Any,
    dataset: Dataset,
    train: Dataset,
    **arguments: Any,
) -> np.ndarray:
    r"""
    Runs a model over rows, in both orders if it has inverse relations, and applies the prior of the listed order.

    Args:
        model: A model that was trained on both orders.
        processor: Its processor.
        names: The relations in the order of their ids.
        rows: The rows as the model reads them, see `rows_to_score`.
        dataset: The same rows as the corpus lists them.
        train: The training rows as the corpus lists them.
        arguments: Fields of `TrainingArguments`.

    Returns:
        `(rows, L)`.
    """
    listed = probabilities_of(model, processor, names, rows, directed=True, **arguments)
    swapped = None
    if listed.shape[1] > len(names):
        swapped = probabilities_of(model, processor, names, SwappedPairs(rows), directed=True, **arguments)
    return with_order_prior(mean_of_both_orders(listed, swapped, names, model.config), model, names, dataset, train)


def mean_of_both_orders(
    listed: np.ndarray, swapped: np.ndarray | None, names: Sequence[str], config: Any
) -> np.ndarray:
    r"""
    The mean of the probabilities that a model with inverse relations predicts for pairs in either order, see
    `average_both_orders`.

    Args:
        listed: `(rows, L + I)`, from `probabilities_of(…, directed=True)`.
        swapped: `(rows, L + I)`, those of `SwappedPairs`; not needed without inverse relations.
        names: The relations in the order of their ids.
        config: The model's configuration.

    Returns:
        `(rows, L + I)`; without inverse relations `listed` as it is.
    """
    if listed.shape[1] == len(names):
        return listed
    assert swapped is not None, "a model with inverse relations reads both orders"
    swapped_label = swapped_labels(names, config.symmetric_relations, True, negative_of(config, names))
    return average_both_orders(listed, swapped, swapped_label)


def with_order_prior(
    probabilities: np.ndarray, model: Any, names: Sequence[str], dataset: Dataset, train: Dataset
) -> np.ndarray:
    r"""
    Applies the entity-order prior of a corpus to the probabilities of a model that was trained on both orders.

    Args:
        probabilities: `(rows, L)` or `(rows, L + I)`, from `probabilities_of(…, directed=True)` or
            `mean_of_both_orders`.
        model: The model.
        names: Its relations in the order of their ids.
        dataset: The scored rows as the corpus lists them.
        train: The training rows, from which the prior is estimated; see `estimate_order_prior`.

    Returns:
        `(rows, L)`.
    """
    symmetric, inverses = getattr(model.config, "symmetric_relations", None), probabilities.shape[1] > len(names)
    negative = negative_of(model.config, names)
    weights = estimate_order_prior(train, names, symmetric, inverses, negative)
    return fold_inverse_probabilities(apply_order_prior(probabilities, weights, dataset), names, negative)

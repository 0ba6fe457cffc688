"""The predictions of an evaluation as one array, in whatever form `Trainer` gathers them."""

from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction


def logits_and_labels(evaluation: EvalPrediction) -> tuple[np.ndarray, np.ndarray]:
    r"""
    Args:
        evaluation: Logits and labels of a split, as arrays or, with `eval_do_concat_batches=False`, as lists with one
            array per batch; with `batch_eval_metrics=True` those of one batch, as tensors on any device. Models with
            several outputs give tuples whose first element is the logits.

    Returns:
        The logits and the labels of all rows. Floating-point numbers of less than 32 bits become float32.
    """
    predictions, labels = evaluation.predictions, evaluation.label_ids
    if isinstance(predictions, list) and predictions and np.ndim(_as_array(predictions[0])) == 2:
        return np.concatenate([*map(_as_array, predictions)]), np.concatenate([*map(_as_array, labels)])
    return _as_array(predictions), _as_array(labels)


def _as_array(values: Any) -> np.ndarray:
    if isinstance(values, tuple):
        values = values[0]
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.is_floating_point() else values).numpy()  # NumPy has no bfloat16
    return np.asarray(values)

"""Training with the largest batch that fits into memory, at a constant number of rows per step."""

from collections.abc import Callable
from typing import Any

from accelerate.utils.memory import clear_device_cache, should_reduce_batch_size
from transformers import TrainingArguments
from transformers.utils import logging

logger = logging.get_logger(__name__)


def resume_batch_size(arguments: TrainingArguments, fitted: int | None) -> None:
    r"""
    Halves the batches of a run that is resumed to the size that fitted before, at the same number of rows per step.

    Args:
        arguments: The arguments of the run; changed in place.
        fitted: `TrainerState.train_batch_size` of its last checkpoint.
    """
    devices = max(1, arguments.n_gpu)
    while fitted and arguments.per_device_train_batch_size * devices > fitted:
        arguments.per_device_train_batch_size //= 2
        arguments.gradient_accumulation_steps *= 2


def train_within_memory(train: Callable[[int, int], Any], arguments: TrainingArguments, smallest: int = 1) -> Any:
    r"""
    Trains and, whenever memory runs out, trains again with batches of half the size, twice as many of them per step.
    The rows per step, and thus the meaning of the learning rate, stay the same. (`auto_find_batch_size` of `Trainer`
    changes them, and goes on with the weights of the attempt that failed.)

    Args:
        train: Called with the rows per batch and the batches per step; creates its model anew.
        arguments: Their `per_device_train_batch_size` and `gradient_accumulation_steps` are tried first.
        smallest: The smallest size of a batch.

    Returns:
        What `train` returns.

    Raises:
        ValueError: Training on several processes, of which each would run out of memory at another time; or
            `auto_find_batch_size`, with which `Trainer` changes the rows per step first.
        RuntimeError: The error of PyTorch, if the smallest batch does not fit or another error occurs.
    """
    if arguments.world_size > 1:
        raise ValueError(
            f"`auto_batch_size` requires one process; found {arguments.world_size}. Pass a batch size that fits."
        )
    if arguments.auto_find_batch_size:
        raise ValueError(
            "`auto_batch_size` keeps the rows per step, and `auto_find_batch_size` changes them. Omit the latter."
        )
    size, steps = arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps
    while True:
        try:
            return train(size, steps)
        except Exception as error:
            if not should_reduce_batch_size(error) or size % 2 or size // 2 < smallest:
                raise
        # Outside of the handler, where only cycles still keep the tensors of the failed attempt alive.
        clear_device_cache(garbage_collection=True)
        size, steps = size // 2, 2 * steps
        logger.warning("Out of memory: training again with %d rows per batch and %d batches per step.", size, steps)

"""Processes that `accelerate launch` starts, and their shares of the images."""

from datetime import timedelta

import torch
from accelerate import PartialState

# A process that has finished its share waits for the others: computing all captions may take days.
TIMEOUT = timedelta(days=30)


def process_state() -> PartialState:
    """This process among those started by `accelerate launch`, and its device."""
    return PartialState(cpu=not torch.accelerator.is_available(), timeout=TIMEOUT)


def is_own_share(state: PartialState, digest: str) -> bool:
    """Whether this process computes the results of an image, decided by the image's digest."""
    return int(digest[:8], 16) % state.num_processes == state.process_index

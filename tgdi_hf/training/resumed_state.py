"""The state of a `Trainer` in a checkpoint, for runs that are resumed."""

import json
import os
from pathlib import Path

from transformers import Trainer, TrainerState


def state_of(checkpoint: str | Path) -> TrainerState:
    """The state that a checkpoint was saved in."""
    return TrainerState.load_from_json(str(Path(checkpoint, "trainer_state.json")))


def locate_best(checkpoint: str | Path) -> TrainerState:
    r"""
    Finds the best checkpoint of a run beside the one to resume from. `Trainer` looks for it by the path at which the
    run started and, if it is not there, saves the last model in place of the best one.

    Args:
        checkpoint: The checkpoint to resume from; its state is updated if the folder of the run was moved.

    Returns:
        The state in the checkpoint.

    Raises:
        ValueError: The best checkpoint is missing.
    """
    checkpoint = Path(checkpoint)
    state = state_of(checkpoint)
    if state.best_model_checkpoint is None:
        return state
    best = checkpoint.with_name(Path(state.best_model_checkpoint).name)
    if not best.is_dir():
        raise ValueError(
            f"Cannot resume from {checkpoint}: {best}, the best checkpoint before it, is missing, perhaps because the "
            f"run was started again without resuming. Delete {checkpoint.name} to resume from an earlier checkpoint."
        )
    if state.best_model_checkpoint != str(best):
        state.best_model_checkpoint = str(best)
        part = checkpoint / f"trainer_state.json.{os.getpid()}"  # other processes of this run may be reading the file
        state.save_to_json(str(part))
        part.replace(checkpoint / "trainer_state.json")
    return state


def restore_state(trainer: Trainer, state: TrainerState) -> None:
    """Gives a trainer a saved state, as `Trainer.train` does before it resumes."""
    trainer.state = state
    state.is_local_process_zero = trainer.is_local_process_zero()
    state.is_world_process_zero = trainer.is_world_process_zero()


def saved_results(folder: str | Path) -> dict[str, float]:
    """The metrics in the output folder of a run; none if it was interrupted before it wrote them."""
    file = Path(folder, "all_results.json")
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

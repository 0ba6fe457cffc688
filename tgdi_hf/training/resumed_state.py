"""The state of a `Trainer` in a checkpoint, for runs that are resumed."""

import json
from pathlib import Path

from transformers import Trainer, TrainerState


def state_of(checkpoint: str | Path) -> TrainerState:
    """The state that a checkpoint was saved in."""
    return TrainerState.load_from_json(str(Path(checkpoint, "trainer_state.json")))


def best_checkpoint(state: TrainerState, folder: str | Path) -> Path:
    """The best checkpoint of a run in its output folder, also if that was moved."""
    return Path(folder, Path(str(state.best_model_checkpoint)).name)


def restore_state(trainer: Trainer, state: TrainerState) -> None:
    """Gives a trainer a saved state, as `Trainer.train` does before it resumes."""
    trainer.state = state
    state.is_local_process_zero = trainer.is_local_process_zero()
    state.is_world_process_zero = trainer.is_world_process_zero()


def saved_results(folder: str | Path) -> dict[str, float]:
    """The metrics in the output folder of a run; none if it was interrupted before it wrote them."""
    file = Path(folder, "all_results.json")
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

"""What the model card says about the training, read from the files that `fine_tune` leaves beside the model."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..training.training_record import HYPERPARAMETERS

# Settings of `fine_tune` that are no arguments of `TrainingArguments`.
SETTINGS = ("fusion_learning_rate", "swap_images", "early_stopping")
OPTIONS = ("freeze_vision", "use_caption")


def training_facts(folder: str | Path) -> dict[str, Any]:
    r"""
    Reads `run.json`, `training.json` and `trainer_state.json` in the folder of a model.

    Args:
        folder: The output folder of `fine_tune` or of a `Trainer`, or a name on the Hub, about which nothing is known.

    Returns:
        Those that are known of: `hyperparameters`; `epochs`, with `epoch`, `step`, `loss`, `eval_loss`, `eval_f1` and
        `best`; `device`; `processes`; `time`; and `versions`.

    Raises:
        ValueError: A file is not a JSON object.
    """
    files = (Path(folder, f"{name}.json") for name in ("run", "training", "trainer_state"))
    run, record, state = (json_object(file) if file.is_file() else {} for file in files)
    options = run.get("model_options", {})
    hyperparameters = {
        **record.get("hyperparameters", {name: run[name] for name in HYPERPARAMETERS if name in run}),
        **{name: run[name] for name in SETTINGS if run.get(name) is not None},
        **{name: options[name] for name in OPTIONS if name in options},
    }
    facts = {
        "hyperparameters": hyperparameters,
        "epochs": _epochs(state),
        "device": record.get("device"),
        "processes": record.get("processes"),
        "time": _time(record["seconds"]) if "seconds" in record else None,
        "versions": record.get("versions"),
    }
    return {name: value for name, value in facts.items() if value}


def json_object(file: Path) -> dict[str, Any]:
    """Reads a file that the package has written; raises a `ValueError` that names it if it is not a JSON object."""
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}. Name another file, or write it again.") from None
    if not isinstance(found, dict):
        raise ValueError(f"{file} contains {found!r:.80}; expected a JSON object.")
    return found


def _epochs(state: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per evaluation during training, with the training loss that was logged last."""
    rows: list[dict[str, Any]] = []
    loss = None
    for entry in state.get("log_history", ()):
        loss = entry.get("loss", loss)
        # The last evaluation repeats that of the best epoch, at the last step.
        if "eval_loss" in entry and (not rows or entry["step"] > rows[-1]["step"]):
            rows.append(
                {
                    "epoch": f"{entry['epoch']:g}",
                    "step": entry["step"],
                    "loss": loss,
                    "eval_loss": entry["eval_loss"],
                    "eval_f1": entry.get("eval_f1"),
                    "best": entry["step"] == state.get("best_global_step"),
                }
            )
    return rows


def _time(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"

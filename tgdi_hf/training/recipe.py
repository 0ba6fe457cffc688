"""The fine-tuning recipe, as `TrainingArguments`."""

from pathlib import Path
from typing import Any

from transformers import TrainingArguments

from ..evaluation.scoring_arguments import collator_arguments

# The share of swapped images in training, by preset.
PRESET_SWAPS = {"application": 0.1}


def training_arguments(output_dir: str | Path, **overrides: Any) -> TrainingArguments:
    r"""
    The package's fine-tuning recipe; every field of `TrainingArguments` can be overridden.

    AdamW with linear decay after 10 % warm-up, evaluation and a checkpoint after every epoch, and the best model by
    micro-F1 on the validation split.
    """
    recipe: dict[str, Any] = {
        **collator_arguments(),
        "per_device_train_batch_size": 16,
        "learning_rate": 3e-5,
        "weight_decay": 0.01,
        "warmup_steps": 0.1,
        "num_train_epochs": 6,
        "eval_strategy": "epoch",
        "save_strategy": "epoch",
        # Besides the best one, so that one of the two is complete whenever a run is killed.
        "save_total_limit": 2,
        "load_best_model_at_end": True,
        "metric_for_best_model": "f1",
        "greater_is_better": True,
        "logging_steps": 50,
        "seed": 0,
    }
    if "metric_for_best_model" in overrides:
        del recipe["greater_is_better"]  # which follows from the metric: less loss is better
    return TrainingArguments(output_dir=str(output_dir), **{**recipe, **overrides})

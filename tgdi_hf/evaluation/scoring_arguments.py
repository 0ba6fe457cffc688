"""`TrainingArguments` for a `Trainer` that only runs a model over rows."""

from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

# Whatever trains or scores with `TGDICollator`.
COLLATOR_ARGUMENTS: dict[str, Any] = {
    "per_device_eval_batch_size": 64,
    "dataloader_num_workers": 2,
    # The collator needs the raw columns.
    "remove_unused_columns": False,
    # The rows of a batch share images, so a batch cannot be cut for other processes: each reads its own rows.
    "accelerator_config": {"dispatch_batches": False},
}


def collator_arguments() -> dict[str, Any]:
    """The fields of `TrainingArguments` that training and scoring share."""
    # Without an accelerator, transformers allows bf16 only if the CPU is chosen explicitly.
    return {**COLLATOR_ARGUMENTS, "use_cpu": not torch.accelerator.is_available()}


def scoring_arguments(output_dir: str | Path, **overrides: Any) -> TrainingArguments:
    """Arguments of a `Trainer` that neither trains nor saves; every field can be overridden."""
    fields = {"eval_strategy": "no", "save_strategy": "no", "seed": 0, **collator_arguments(), **overrides}
    return TrainingArguments(output_dir=str(output_dir), **fields)

"""Loading the pipeline of a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline


def load_pipeline(
    checkpoint: str, bf16: bool, negative: str | None = "auto", revision: str | None = None
) -> MultimodalRelationExtractionPipeline:
    """Loads the pipeline of a checkpoint, on the accelerator if one is available, or of an export, on the CPU."""
    import torch
    from transformers import pipeline

    from ..checkpoints import check_checkpoint, explain_hub_errors, is_export
    from ..processing.pipeline_tgdi import TASK

    check_checkpoint(checkpoint, revision, exports=True)
    if is_export(checkpoint):
        from ..export.pipeline_loading import load_pipeline as load_exported

        if bf16:
            raise ValueError(f"--bf16 does not apply to {checkpoint}, whose graphs compute in single precision.")
        return load_exported(checkpoint, negative_label=negative)
    device = torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")
    dtype = torch.bfloat16 if bf16 else torch.float32
    with explain_hub_errors(checkpoint):
        return pipeline(  # type: ignore[call-overload]  # the stubs list the tasks of transformers only
            TASK, model=checkpoint, revision=revision, dtype=dtype, device=device, negative_label=negative
        )

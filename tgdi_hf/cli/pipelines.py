"""Loading the pipeline of a checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline


def load_pipeline(
    checkpoint: str,
    bf16: bool,
    negative: str | None = "auto",
    revision: str | None = None,
    device: str | None = None,
    compiled: bool = False,
) -> MultimodalRelationExtractionPipeline:
    """Loads the pipeline of a checkpoint, by default on the accelerator if any, or of an export, on the CPU."""
    from ..checkpoints import check_checkpoint, is_export

    check_checkpoint(checkpoint, revision, exports=True)
    if is_export(checkpoint):
        from ..export.pipeline_loading import load_pipeline as load_exported

        if bf16:
            raise ValueError(f"--bf16 does not apply to {checkpoint}, whose graphs compute in single precision.")
        if device not in (None, "cpu"):
            raise ValueError(f"--device {device} does not apply to {checkpoint}, whose graphs run on the CPU.")
        if compiled:
            raise ValueError(
                f"--compile does not apply to {checkpoint}, whose graphs are compiled by their runtime; omit it."
            )
        return load_exported(checkpoint, negative_label=negative)
    from ..inference.checkpoint_pipeline import load_checkpoint

    pipe = load_checkpoint(checkpoint, bf16, negative, revision, device)
    if compiled:
        from ..inference.compiled_model import compile_model

        compile_model(pipe.model)
    return pipe

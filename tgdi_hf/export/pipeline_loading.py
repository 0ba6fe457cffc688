"""The pipeline of an exported folder."""

from pathlib import Path
from typing import Any

from ..processing.pipeline_tgdi import MultimodalRelationExtractionPipeline
from ..processing.processing_tgdi import TGDIProcessor
from .exported_model import ExportedTGDI


def load_pipeline(folder: str | Path, **options: Any) -> MultimodalRelationExtractionPipeline:
    r"""
    Loads the pipeline of a folder that `tgdi export` wrote.

    Args:
        folder: The folder.
        options: Options of `MultimodalRelationExtractionPipeline`.

    Raises:
        ImportError, ValueError: As `ExportedTGDI`.

    Example:

    ```python
    >>> from tgdi_hf.export.pipeline_loading import load_pipeline

    >>> load_pipeline("exported")({"text": "JFK and Obama at Harvard", "head": "JFK", "tail": "Harvard"})
    {'head': {'text': 'JFK', 'start': 0, 'end': 3}, ..., 'relation': '/per/org/member_of', 'score': 0.93, ...}
    ```
    """
    model = ExportedTGDI(folder)
    processor = TGDIProcessor.from_pretrained(Path(folder).expanduser())
    return MultimodalRelationExtractionPipeline(model=model, processor=processor, device=model.device, **options)

"""From dataset rows to a batch of the model."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from .processing.processing_tgdi import TGDIProcessor


class TGDICollator:
    r"""
    Runs the processor on the rows of a batch. In a dataloader the work, decoding of images included, happens in the
    loader's workers, and each distinct picture of the batch is decoded, and later encoded by the model, once.

    Args:
        processor (`TGDIProcessor`): The model's processor.

    Example:

    ```python
    >>> loader = torch.utils.data.DataLoader(dataset["train"], batch_size=16, collate_fn=TGDICollator(processor))
    ```
    """

    def __init__(self, processor: TGDIProcessor):
        self.processor = processor

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        r"""
        Args:
            rows: Mappings with `text` or `words`, `head` and `tail`, and optionally `image`, `objects`, `caption` and
                `label`; other keys are ignored.

        Returns:
            The processor's tensors, distinct pictures in `pixel_values`, and `labels` `(B,)` if the rows have them.
        """
        inputs = self.processor(
            text=[row["words"] if row.get("words") is not None else row["text"] for row in rows],
            head=[row["head"] for row in rows],
            tail=[row["tail"] for row in rows],
            images=[row.get("image") for row in rows],
            objects=[row.get("objects") for row in rows],
            caption=[row.get("caption") for row in rows],
            share_images=True,
            return_tensors="pt",
        )
        if "label" in rows[0]:
            inputs["labels"] = torch.tensor([row["label"] for row in rows])
        return inputs

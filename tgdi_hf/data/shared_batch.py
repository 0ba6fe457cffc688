"""Batches in which rows share images, and which therefore have to stay whole."""

from typing import Any

import torch
from transformers import BatchFeature


class SharedBatch(BatchFeature):
    r"""
    A batch in which `image_index` points into distinct images. Whoever cuts batches along their first dimension makes
    one of the same class from the parts, whose index points at other images or at none: reading that is refused.
    (Making it is not: accelerate keeps the start of a first batch that it may never use.)

    Args:
        data (`dict`): The tensors.

    Raises:
        ValueError: When it is read, if the images are a part of a larger tensor, as `tensor[start:end]` is.
    """

    def __init__(self, data: dict[str, Any] | None = None, **options: Any):
        super().__init__(data, **options)
        images = [self.data.get(name) for name in ("pixel_values", "vision_features")]
        is_cut = any(
            isinstance(tensor, torch.Tensor) and tensor.untyped_storage().nbytes() > tensor.nbytes for tensor in images
        )
        if is_cut and "image_index" in self.data:
            self.data = _Cut()


class _Cut(dict):
    """In place of the tensors of a batch that was cut."""

    def _refuse(self, *_: Any):
        raise ValueError(
            "This batch was cut along its first dimension (by accelerate's `dispatch_batches=True` or "
            "`split_batches=True`, for example), but its rows share images. Collate with `TGDICollator(processor, "
            "share_images=False)`, or let every process read its own rows: "
            "`Accelerator(dataloader_config=DataLoaderConfiguration(dispatch_batches=False))`."
        )

    __getitem__ = __iter__ = __len__ = __contains__ = get = keys = values = items = _refuse

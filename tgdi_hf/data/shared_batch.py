"""Batches whose rows share images, which must not be split."""

from typing import Any, NoReturn

import torch
from transformers import BatchFeature


class SharedBatch(BatchFeature):
    r"""
    A batch whose `image_index` refers to its distinct images. Code that splits batches along the first dimension
    constructs a batch of this class from slices of the tensors, in which the index refers to other images or none:
    reading such a batch raises an error. Constructing it does not, since accelerate slices the first batch without
    necessarily reading the slice.

    Args:
        data (`dict`): The tensors.

    Raises:
        ValueError: When a tensor is read, if the images are a slice of a larger tensor.
    """

    data: dict[str, Any]

    def __init__(self, data: dict[str, Any] | None = None, **options: Any):
        super().__init__(data, **options)
        images = [self.data.get(name) for name in ("pixel_values", "vision_features")]
        is_slice = any(
            isinstance(tensor, torch.Tensor) and tensor.untyped_storage().nbytes() > tensor.nbytes for tensor in images
        )
        if is_slice and "image_index" in self.data:
            self.data = _SplitBatch()


class _SplitBatch(dict[str, Any]):
    """Replaces the tensors of a batch that was split."""

    def _refuse(self, *_: Any) -> NoReturn:
        raise ValueError(
            "This batch was split along its first dimension (for example by accelerate's `dispatch_batches=True` or "
            "`split_batches=True`), but its rows share images. Collate with `TGDICollator(processor, "
            "share_images=False)`, or let every process read its own rows: "
            "`Accelerator(dataloader_config=DataLoaderConfiguration(dispatch_batches=False))`."
        )

    # `Any`: the signatures of `dict` promise values, which a split batch never returns.
    __getitem__: Any = _refuse
    __iter__: Any = _refuse
    __len__: Any = _refuse
    __contains__: Any = _refuse
    get: Any = _refuse
    keys: Any = _refuse
    values: Any = _refuse
    items: Any = _refuse

"""Whether the gate can be read as a probability: how well its mean tells a post's own image from another post's."""

from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np
import torch
from torch.utils.data import DataLoader

from ..data.collator import TGDICollator
from ..data.dataset_columns import undecoded
from ..data.swapped_images import SwappedImages
from ..processing.processing_tgdi import TGDIProcessor
from .calibration import CalibrationBin, calibration
from .roc import area_under_roc

SHARE = 0.5  # of the images; the matching loss weighs own and other images equally


class GateReliability(TypedDict):
    """The rows with an image, the share of them whose image is another post's, and the bins behind the error."""

    rows: int
    share: float
    auroc: float
    ece: float
    bins: list[CalibrationBin]


@torch.inference_mode()
def gate_reliability(
    model: Any,
    processor: TGDIProcessor,
    dataset: Any,
    seed: int = 0,
    batch_size: int = 64,
    vision_features: Callable | None = None,
) -> GateReliability | None:
    r"""
    Measures the mean of the gate as the probability that an image belongs to its text, on rows of which one half have
    the image of another post.

    Args:
        model: `TGDIForRelationExtraction`.
        processor: Its processor.
        dataset: Held-out rows of a dataset with random access.
        seed: Seed of the swaps, see `SwappedImages`.
        batch_size: Rows per batch, among which images are swapped.
        vision_features: See `TGDICollator`.

    Returns:
        `auroc`, the probability that an image of the post has a higher gate than one of another post; `ece`, the
        expected calibration error, and its `bins`, see `calibration`, where a prediction is the gate and it is correct
        if the image belongs to the text. `None` if no row can be swapped or the model has no gate.
    """
    was_training = model.training
    model.eval()
    gates, matches = [], []
    rows = SwappedImages(undecoded(dataset), SHARE, seed)
    for batch in DataLoader(rows, batch_size, collate_fn=TGDICollator(processor, vision_features=vision_features)):
        inputs = {name: value.to(model.device) for name, value in batch.items() if name != "labels"}
        gate = model(**inputs).matching_gate
        if gate is None or "image_mask" not in inputs:
            continue
        exists = inputs["image_mask"].bool().any(dim=1)
        gates.append(gate.float().mean(dim=1)[exists].cpu())
        matches.append(inputs["image_matches"][exists].cpu())
    model.train(was_training)
    if not gates:
        return None
    probability, belongs = torch.cat(gates).numpy(), torch.cat(matches).numpy()
    if belongs.all():
        return None
    found = calibration(probability, belongs == 1, num_bins=10)
    return {
        "rows": len(belongs),
        "share": float(np.mean(belongs == 0)),
        "auroc": area_under_roc(probability, belongs),
        **found,
    }


__all__ = ["GateReliability", "gate_reliability"]

"""Features of a tiny frozen encoder, and their comparison with pixels."""

import torch

from tgdi_hf import TGDICollator, undecoded
from tgdi_hf.preparation.vision_features import compute_model_features

TEXT = {"text": "Ann meets Bob", "head": [0, 3], "tail": [10, 13]}


def compute(model, processor, dataset, folder, dtype="float32"):
    return compute_model_features(model, processor, dataset, folder, dtype)


def differences(model, processor, dataset, features):
    rows = list(undecoded(dataset["train"]))
    from_pixels, kept = TGDICollator(processor)(rows), TGDICollator(processor, vision_features=features)(rows)
    assert "pixel_values" not in kept
    for name in ("image_index", "image_mask"):
        assert torch.equal(from_pixels[name], kept[name])
    with torch.no_grad():
        return (model(**from_pixels).logits - model(**kept).logits).abs().max()

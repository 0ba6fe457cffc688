"""Features of a tiny frozen encoder, and their comparison with pixels."""

import torch

from tgdi_hf import TGDICollator, undecoded
from tgdi_hf.preparation.vision_features import compute_model_features

TEXT = {"text": "Ann meets Bob", "head": [0, 3], "tail": [10, 13]}


def compute(model, processor, dataset, folder, dtype="float32"):
    """`compute_model_features` on the CPU, without loss of precision by default."""
    return compute_model_features(model, processor, dataset, folder, dtype)


def differences(model, processor, dataset, features):
    """The largest difference between the logits from pixels and from features."""
    rows = list(undecoded(dataset["train"]))
    from_pixels = TGDICollator(processor)(rows)
    from_features = TGDICollator(processor, vision_features=features)(rows)
    assert "pixel_values" not in from_features
    for name in ("image_index", "image_mask"):
        assert torch.equal(from_pixels[name], from_features[name])
    with torch.no_grad():
        return (model(**from_pixels).logits - model(**from_features).logits).abs().max()

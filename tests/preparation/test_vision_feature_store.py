import pickle

import pytest
import torch

from tgdi_hf import TGDICollator, undecoded
from tgdi_hf.preparation.vision_feature_store import FeatureKey, VisionFeatures, VisionFeatureWriter, part_key

from .vision_helpers import compute, differences


def test_a_killed_run_leaves_no_incomplete_features(frozen, processor, images, tmp_path, monkeypatch):
    def killed(self, keys, features):
        self.rows[self.used] = 7.0
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(VisionFeatureWriter, "write", killed)
        with pytest.raises(KeyboardInterrupt):
            compute(frozen, processor, images, tmp_path / "features")
    assert len(VisionFeatures(tmp_path / "features")) == 0
    features = compute(frozen, processor, images, tmp_path / "features")
    assert differences(frozen, processor, images, features) < 1e-5


def test_dataloader_workers_map_the_file_themselves(frozen, processor, images, tmp_path):
    features = compute(frozen, processor, images, tmp_path / "features")
    collate = TGDICollator(processor, vision_features=features)
    rows = list(undecoded(images["train"]))
    expected = collate(rows)
    again = pickle.loads(pickle.dumps(collate))
    assert torch.equal(again(rows)["vision_features"], expected["vision_features"])
    assert len(pickle.dumps(features)) < 10_000


def test_parts_are_identified_by_the_pixels_that_they_cover_and_how_they_are_resized():
    assert part_key(None) == ""
    assert part_key((0.2, 1.0, 5.1, 6.0)) == part_key((0.9, 1.5, 6.0, 5.5)) == "0,1,6,6"
    assert part_key((0.2, 1.0, 5.1, 6.0), squash=True) == "0,1,6,6,squash"
    assert part_key(None, squash=True) == "squash"


def test_values_outside_the_range_of_the_dtype_are_refused(tmp_path):
    writer = VisionFeatureWriter(tmp_path, {"weights": "a"}, "float16")
    writer.reserve(1, (1, 2))
    with pytest.raises(ValueError, match="exceed the range of float16; store them as bfloat16 or float32"):
        writer.write([FeatureKey("image", "")], torch.tensor([[[1.0, 1e6]]]))
    assert len(VisionFeatures(tmp_path)) == 0
    writer.write([FeatureKey("image", "")], torch.tensor([[[1.0, 2.0]]]))
    assert list(VisionFeatures(tmp_path).slots) == [("image", "")]

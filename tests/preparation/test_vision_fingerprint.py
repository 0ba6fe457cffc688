import copy
import json

import pytest
import torch
from transformers import set_seed

from tgdi_hf.demo.tiny_model import tiny_tgdi
from tgdi_hf.preparation.vision_feature_store import VisionFeatures
from tgdi_hf.preparation.vision_fingerprint import fingerprint_of

from .vision_helpers import compute


def test_features_of_another_encoder_or_processor_are_refused(frozen, processor, images, tmp_path, corpus):
    compute(frozen, processor, images, tmp_path / "features")
    fingerprint = fingerprint_of(frozen.tgdi.vision_tower, processor.image_processor, 1)
    VisionFeatures(tmp_path / "features", fingerprint)
    with torch.no_grad():
        frozen.tgdi.vision_tower.embeddings.cls_token.add_(1)
    with pytest.raises(ValueError, match="belong to another vision encoder.*weights was"):
        compute(frozen, processor, images, tmp_path / "features")
    with pytest.raises(ValueError, match=r"prompt_grid was 1, is 2"):
        VisionFeatures(tmp_path / "features", {**fingerprint, "prompt_grid": 2})
    set_seed(0)
    model, other = tiny_tgdi(corpus)
    model.freeze_vision_encoder()
    other.image_processor.image_mean = [0.1, 0.1, 0.1]
    with pytest.raises(ValueError, match=r"image_processor was .*0\.5.* is .*0\.1"):
        VisionFeatures(tmp_path / "features", fingerprint_of(model.tgdi.vision_tower, other.image_processor, 1))


def test_the_fingerprint_survives_saving_and_loading(checkpoint, frozen, processor):
    from tgdi_hf import TGDIForRelationExtraction, TGDIProcessor

    model, again = TGDIForRelationExtraction.from_pretrained(checkpoint), TGDIProcessor.from_pretrained(checkpoint)
    one = fingerprint_of(frozen.tgdi.vision_tower, processor.image_processor, 1)
    assert one == fingerprint_of(model.tgdi.vision_tower, again.image_processor, 1)


def test_names_of_code_files_are_ignored(frozen, processor, images, tmp_path):
    """Older features have them in their fingerprint if the processor was loaded from a checkpoint with code."""
    compute(frozen, processor, images, tmp_path / "features")
    file = tmp_path / "features" / "features.json"
    meta = json.loads(file.read_text())
    meta["fingerprint"]["image_processor"]["auto_map"] = {"AutoProcessor": "processing_tgdi.TGDIProcessor"}
    file.write_text(json.dumps(meta))
    VisionFeatures(tmp_path / "features", fingerprint_of(frozen.tgdi.vision_tower, processor.image_processor, 1))


def test_features_of_the_other_kind_are_refused(frozen, processor, images, tmp_path):
    tower, crops = frozen.tgdi.vision_tower, fingerprint_of(frozen.tgdi.vision_tower, processor.image_processor, 1)
    regions = fingerprint_of(tower, processor.image_processor, 1, "regions")
    assert regions == fingerprint_of(tower, processor.image_processor, 2, "regions")  # they serve any grid
    compute(frozen, processor, images, tmp_path / "features")
    with pytest.raises(ValueError, match=r"are for `object_features='crops'`, not 'regions'.*in another folder"):
        VisionFeatures(tmp_path / "features", regions)
    processor = copy.copy(processor)
    processor.object_features = frozen.config.object_features = "regions"
    with pytest.raises(ValueError, match=r"are for `object_features='crops'`, not 'regions'"):
        compute(frozen, processor, images, tmp_path / "features")
    compute(frozen, processor, images, tmp_path / "regions")
    with pytest.raises(ValueError, match=r"are for `object_features='regions'`, not 'crops'"):
        VisionFeatures(tmp_path / "regions", crops)

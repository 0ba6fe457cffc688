import numpy as np
import pytest
from datasets import Dataset, DatasetDict
from datasets import Image as ImageFeature
from PIL import Image

from tgdi_hf import TGDICollator, undecoded
from tgdi_hf.preparation.image_parts import Part, cut_parts, find_image_parts, images_only, missing_parts
from tgdi_hf.preparation.vision_feature_store import FeatureKey
from tgdi_hf.processing.image_resizing import Squashed

from .vision_helpers import TEXT, compute


def test_a_box_that_cannot_be_cut_out_is_skipped_alone(frozen, processor, images, tmp_path, caplog, monkeypatch):
    image = images["train"].cast_column("image", ImageFeature(decode=False))[0]["image"]["path"]
    rows = [{**TEXT, "image": image, "objects": [box]} for box in ([0, 0, 9, 9], [500, 500, 600, 600], [0, 0, 9, 30])]
    Image.new("RGB", (3000, 2)).save(tmp_path / "strip.png")
    rows.append({**TEXT, "image": str(tmp_path / "strip.png"), "objects": []})
    named = DatasetDict(train=Dataset.from_list(rows))  # images given as paths
    monkeypatch.setattr(processor, "num_objects", 3)
    features = compute(frozen, processor, named, tmp_path / "features")
    assert len(features) == 3
    assert "no pixel of the image" in caplog.text and "strip of 3000 × 2" in caplog.text
    collate = TGDICollator(processor, vision_features=features)
    collate([rows[0], rows[2]])
    with pytest.raises(ValueError, match=r"no features of this image and box \(500.0, .*warning"):
        collate([rows[1]])


def test_the_parts_of_each_distinct_image_are_found_once(images, tmp_path):
    rows = {split: images_only(rows) for split, rows in images.items()}
    parts = find_image_parts(rows, num_objects=3)
    assert [(found.row, found.place, list(found.parts)) for found in parts.values()] == [
        (0, None, ["", "0,0,50,41", "10,10,90,70"]),
        (1, None, [""]),
    ]
    assert [list(found.parts) for found in find_image_parts(rows, num_objects=1).values()] == [["", "0,0,50,41"], [""]]
    first, second = parts
    known = {FeatureKey(first, ""), FeatureKey(first, "10,10,90,70"), FeatureKey(second, "")}
    assert [(image, list(found.parts)) for image, found in missing_parts(parts, known).items()] == [
        (first, ["0,0,50,41"])
    ]


def test_crops_are_images_of_their_own_and_missing_files_are_left_out(images, tmp_path):
    paths = [row["image"]["path"] for row in undecoded(images["train"]).select([0, 1])]
    rows = [
        {**TEXT, "image": paths[0], "objects": [paths[1]]},
        {**TEXT, "image": str(tmp_path / "missing.png"), "objects": []},
    ]
    dataset = {"train": images_only(Dataset.from_list(rows))}
    parts = find_image_parts(dataset, num_objects=3)
    assert [(found.row, found.place) for found in parts.values()] == [(0, None), (0, 0)]
    for image, found in parts.items():
        ((key, pixels),) = cut_parts(image, found, dataset, lambda part, squash: np.asarray(part), 10**6)
        assert key == FeatureKey(image, "") and pixels.shape == (80, 100, 3)


def test_squashed_parts_are_parts_of_their_own(images):
    """An image may also be an object of another post, and is then encoded in both ways."""
    path = undecoded(images["train"])[0]["image"]["path"]
    rows = [{**TEXT, "image": path, "objects": None}, {**TEXT, "image": None, "objects": [path]}]
    dataset = {"train": images_only(Dataset.from_list(rows))}
    (parts,) = find_image_parts(dataset, 3, Squashed(image=False, objects=True)).values()
    assert parts.parts == {"": Part(None, False), "squash": Part(None, True)}
    cut = cut_parts("digest", parts, dataset, lambda part, squash: np.array(squash), 10**6)
    assert [(key.part, bool(pixels)) for key, pixels in cut] == [("", False), ("squash", True)]
    (parts,) = find_image_parts(dataset, 3).values()
    assert parts.parts == {"": Part(None, False)}

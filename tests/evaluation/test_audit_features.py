import datasets
from datasets import Dataset

from tgdi_hf.evaluation.audit_features import features_of

from .audited import image


def test_features_of_image_files(corpus):
    features = features_of(corpus["test"])
    there = [image is not None for image in corpus["test"]["image"]]
    assert (features["width"] == [64.0 if one else -1.0 for one in there]).all()
    assert (features["there is an image"] == [1.0 if one else -1.0 for one in there]).all()
    assert len(features["place of the row"]) == 32


def test_features_of_crops():
    features = datasets.Features({"text": datasets.Value("string"), "objects": datasets.List(datasets.Image())})
    crops = [{"bytes": image(i, (8, 2 + i)), "path": None} for i in range(2)]
    rows = Dataset.from_dict({"text": ["Ann Bob"] * 2, "objects": [crops, None]}, features=features)
    rows = rows.add_column("head", ["Ann"] * 2).add_column("tail", ["Bob"] * 2)
    found = features_of(rows)
    assert found["number of objects"].tolist() == [2, -1]
    assert (found["least area of an object"][0], found["greatest area of an object"][0]) == (16, 24)
    assert found["bytes of the objects' files"].tolist() == [sum(len(crop["bytes"]) for crop in crops), 0]
    assert found["characters of the caption"].tolist() == [-1, -1]

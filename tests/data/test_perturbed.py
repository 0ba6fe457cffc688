from pathlib import Path

import datasets
import numpy as np
import pytest
from datasets import Dataset
from PIL import Image

from tgdi_hf import TGDICollator, undecoded
from tgdi_hf.data.perturbed import CONTROLS, PerturbedDataset


@pytest.fixture
def rows(corpus):
    return corpus["test"]


def content(row):
    return row["image"] and row["image"]["bytes"]


def test_other_columns_stay_unchanged(rows, processor):
    plain = undecoded(rows)
    for control in CONTROLS:
        perturbed = PerturbedDataset(rows, control)
        assert len(perturbed) == len(rows)
        for i in range(len(rows)):
            row = perturbed[i]
            for name in ("id", "text", "head", "tail", "label"):
                assert row[name] == plain[i][name]
        TGDICollator(processor)([perturbed[i] for i in range(8)])


def test_images_and_captions_are_removed(rows):
    assert all(PerturbedDataset(rows, "text-only")[i][name] is None for i in range(32) for name in ("image", "caption"))
    no_image, no_caption = PerturbedDataset(rows, "no-image"), PerturbedDataset(rows, "no-caption")
    assert all(no_image[i]["image"] is None and no_image[i]["caption"] == rows[i]["caption"] for i in range(32))
    assert all(no_caption[i]["caption"] is None for i in range(32))
    assert any(no_caption[i]["image"] for i in range(32))


def test_shuffled_images_and_captions_come_from_other_rows(rows):
    plain, shuffled = undecoded(rows), PerturbedDataset(rows, "shuffled-images")
    before, after = [content(plain[i]) for i in range(32)], [content(shuffled[i]) for i in range(32)]
    assert [one is None for one in before] == [one is None for one in after]  # rows without an image stay without
    assert {*filter(None, before)} == {*filter(None, after)}
    assert all(one != other for one, other in zip(before, after) if one)
    assert after == [content(PerturbedDataset(rows, "shuffled-images")[i]) for i in range(32)]
    assert after != [content(PerturbedDataset(rows, "shuffled-images", seed=1)[i]) for i in range(32)]
    captions = PerturbedDataset(rows, "shuffled-captions")
    assert all(captions[i]["caption"] != rows[i]["caption"] for i in range(32) if rows[i]["caption"])
    assert {captions[i]["caption"] for i in range(32)} == set(rows["caption"])
    assert [content(captions[i]) for i in range(32)] == before


def test_rows_with_the_same_image_get_the_same_other_image(tmp_path):
    for name, colour in (("a.png", "red"), ("b.png", "blue"), ("copy of a.png", "red")):
        Image.new("RGB", (8, 8), colour).save(tmp_path / name)
    images = ["a.png", "a.png", None, "b.png", "copy of a.png"]
    rows = Dataset.from_dict({"image": [name and str(tmp_path / name) for name in images], "caption": ["x"] * 5})
    rows = rows.cast_column("image", datasets.Image())
    shuffled = PerturbedDataset(rows, "shuffled-images")
    found = [row["image"] and Path(row["image"]["path"]).name for row in (shuffled[i] for i in range(5))]
    assert found == ["b.png", "b.png", None, "a.png", "b.png"]
    with pytest.raises(ValueError, match="All rows have the same image or caption; shuffling needs"):
        PerturbedDataset(rows, "shuffled-captions")


def test_blank_and_noise_images_replace_images_only(rows):
    with_image = next(i for i in range(32) if rows[i]["image"] is not None)
    without = next(i for i in range(32) if rows[i]["image"] is None)
    blank, noise = PerturbedDataset(rows, "blank-images"), PerturbedDataset(rows, "noise-images")
    assert np.ptp(blank[with_image]["image"]) == 0
    assert blank[without]["image"] is noise[without]["image"] is None
    assert noise[with_image]["image"].std() > 70
    assert np.array_equal(noise[with_image]["image"], PerturbedDataset(rows, "noise-images")[with_image]["image"])


def test_crops_without_an_image_are_perturbed():
    crops = [{"bytes": bytes([i]) * 9, "path": None} for i in range(3)]
    objects = [crops, [], [crops[1]], crops]
    features = datasets.Features({"image": datasets.Image(), "objects": datasets.List(datasets.Image())})
    rows = Dataset.from_dict({"image": [None] * 4, "objects": objects}, features=features)
    for control in ("text-only", "no-image", "blank-images", "noise-images"):
        perturbed = PerturbedDataset(rows, control)
        assert perturbed.changed.tolist() == [0, 2, 3]
        assert [perturbed[i]["objects"] for i in range(4)] == [None, [], None, None]
    shuffled = PerturbedDataset(rows, "shuffled-images")
    assert [len(shuffled[i]["objects"]) for i in range(4)] == [1, 0, 3, 1]  # rows 0 and 3 have the same crops


def test_images_are_read_row_by_row(rows, monkeypatch):
    def whole(*args):
        raise AssertionError("a whole column was read")

    monkeypatch.setattr(datasets.arrow_dataset.Column, "__iter__", whole)
    for control in CONTROLS:
        PerturbedDataset(rows, control)


def test_slices_are_refused(rows):
    with pytest.raises(TypeError):
        PerturbedDataset(rows, "no-image")[0:3]


def test_a_share_of_the_rows_is_perturbed(rows):
    images = sum(image is not None for image in undecoded(rows)["image"])
    half = PerturbedDataset(rows, "no-image", share=0.5)
    assert sum(half[i]["image"] is not None for i in range(32)) == images - round(images / 2)
    assert len(PerturbedDataset(rows, "noise-images", share=0).changed) == 0


def test_invalid_arguments_are_refused(rows):
    with pytest.raises(ValueError, match="Unknown control 'none'; expected one of text-only"):
        PerturbedDataset(rows, "none")
    with pytest.raises(ValueError, match="`share` is 50"):
        PerturbedDataset(rows, "no-image", share=50)
    bare = rows.remove_columns(["image", "caption"])
    for control in CONTROLS:
        with pytest.raises(
            ValueError, match=f"No row has anything that the control '{control}' would perturb; the columns are"
        ):
            PerturbedDataset(bare, control)

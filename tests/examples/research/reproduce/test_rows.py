import numpy as np
import pytest

from examples.research.reproduce.rows import sample_rows, with_blank_crops
from tgdi_hf import load_mnre


def test_shares_are_stratified_and_nested():
    labels = [0] * 10 + [1] * 4 + [2]
    half = sample_rows(labels, 0.5, "stratified", seed=0)
    assert [sum(labels[i] == label for i in half) for label in (0, 1, 2)] == [5, 2, 1]
    assert half == sorted(set(half))
    assert set(sample_rows(labels, 0.2, "stratified", seed=0)) <= set(half)
    assert sample_rows(labels, 0.5, "stratified", seed=0) == half != sample_rows(labels, 0.5, "stratified", seed=1)
    assert sample_rows(labels, 1, "stratified", seed=3) == list(range(15))


def test_random_shares_ignore_the_labels():
    labels = [0] * 10 + [1] * 4 + [2]
    half = sample_rows(labels, 0.5, "random", seed=0)
    assert len(half) == 8 and half == sorted(set(half))  # 7.5, rounded
    assert set(sample_rows(labels, 0.2, "random", seed=0)) <= set(half)
    assert half != sample_rows(labels, 0.5, "random", seed=1)
    assert half == sample_rows(labels[::-1], 0.5, "random", seed=0)
    assert sample_rows(labels, 1, "random", seed=3) == list(range(15))
    assert len(sample_rows(labels, 0.01, "random", seed=0)) == 1


def test_blank_crops_encode_only_their_number(mnre_folder):
    dataset = load_mnre(mnre_folder)
    blank = with_blank_crops(dataset, mnre_folder, num_objects=2)
    with pytest.warns(UserWarning, match="leak the label"):
        published = load_mnre(mnre_folder, objects="published")
    for split, rows in blank.items():
        for row, plain in zip(rows, dataset[split], strict=True):
            images = [row["image"], *row["objects"]]
            assert all(np.array_equal(np.unique(image), [128]) for image in images)
            assert [row[name] for name in ("words", "label", "caption")] == [
                plain[name] for name in ("words", "label", "caption")
            ]
        assert max(len(objects) for objects in rows["objects"]) <= 2
        # Files that are absent are counted all the same, so there may be more than can be read.
        assert all(len(some["objects"]) >= min(len(read["objects"]), 2) for some, read in zip(rows, published[split]))

import numpy as np
import pytest
import torch

from tgdi_hf.processing.image_arrays import from_array

BYTES = np.array([[[0, 51, 255], [10, 20, 30]]], np.uint8)  # (1, 2, 3)


@pytest.mark.parametrize(
    "array",
    [
        BYTES,
        np.moveaxis(np.repeat(BYTES, 2, axis=0), -1, 0)[:, :1],
        torch.from_numpy(BYTES),
        BYTES.astype(np.float64) / 255,
        torch.from_numpy(BYTES).float().requires_grad_() / 255,
    ],
    ids=["uint8", "channels-first", "tensor", "floats", "float-tensor"],
)
def test_arrays_and_tensors_give_the_same_image(array):
    image = from_array(array, "image")
    assert image.mode == "RGB" and image.size == (2, 1)
    assert np.array_equal(np.asarray(image), BYTES)


@pytest.mark.parametrize("shape", [(1, 2), (1, 2, 1)])
def test_gray_arrays_become_rgb(shape):
    image = from_array(np.array([7, 9], np.uint8).reshape(shape), "image")
    assert np.asarray(image).tolist() == [[[7, 7, 7], [9, 9, 9]]]


def test_transparent_pixels_become_white():
    image = from_array(np.array([[[255, 0, 0, 0], [255, 0, 0, 255]]], np.uint8), "image")
    assert np.asarray(image).tolist() == [[[255, 255, 255], [255, 0, 0]]]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((0, 4, 3), np.uint8), r"found \(0, 4, 3\)"),
        (np.zeros((5, 5, 2), np.uint8), r"found \(5, 5, 2\)"),
        (np.zeros(4, np.uint8), r"found \(4,\)"),
        (np.array([[0.5, np.nan]]), "1 values that are NaN or infinite"),
        (np.array([[0.5, 255.0]]), "found 0.5 to 255"),
        (np.array([[-1.0, 1.0]]), "found -1 to 1"),
        (np.array([[1, 2]]), "uint8 or floats, found int64"),
    ],
)
def test_other_arrays_are_rejected(array, message):
    with pytest.raises(ValueError, match=f"row 7.*{message}"):
        from_array(array, "row 7")

import numpy as np
import pytest
import torch
from transformers import CLIPVisionConfig

from tgdi_hf.modeling.region_weights import patch_grid, region_weights, with_whole_image

BOXES = {
    "covers all": (0, 0, 1, 1),
    "crosses patches": (0.1, 0.3, 0.85, 0.77),
    "in one patch": (0.3, 0.3, 0.31, 0.32),
    "tiny": (0.62, 0.4, 0.62 + 1e-6, 0.4 + 1e-6),
    "on the borders of patches": (0.25, 0.5, 0.75, 1),
    "across the edge": (-0.5, 0.6, 0.4, 1.7),
    "larger than the image": (-3, -2, 5, 1.5),
}


def reference(box, rows, columns, cells):
    """Areas of intersections, cell by cell and patch by patch."""
    x0, y0, x1, y1 = (min(max(side, 0.0), 1.0) for side in box)
    weights = np.zeros((cells * cells, rows * columns))
    for cell in range(cells * cells):
        down, right = divmod(cell, cells)
        left, width = x0 + (x1 - x0) * right / cells, (x1 - x0) / cells
        top, height = y0 + (y1 - y0) * down / cells, (y1 - y0) / cells
        for patch in range(rows * columns):
            row, column = divmod(patch, columns)
            wide = min(left + width, (column + 1) / columns) - max(left, column / columns)
            high = min(top + height, (row + 1) / rows) - max(top, row / rows)
            weights[cell, patch] = max(wide, 0) * max(high, 0) / (width * height)
    return weights


def sampled(box, rows, columns, resolution=1000):
    """Shares of the pixels of a fine raster that lie in the box."""
    centres = (np.arange(resolution) + 0.5) / resolution
    x, y = (centres[(low < centres) & (centres < high)] for low, high in (box[::2], box[1::2]))
    across = np.bincount((x * columns).astype(int), minlength=columns) / len(x)
    down = np.bincount((y * rows).astype(int), minlength=rows) / len(y)
    return (down[:, None] * across).ravel()


@pytest.mark.parametrize("box", BOXES.values(), ids=BOXES)
@pytest.mark.parametrize(("rows", "columns"), [(4, 4), (3, 5), (1, 1)])
@pytest.mark.parametrize("cells", [1, 2, 3])
def test_weights_are_shares_of_areas(box, rows, columns, cells):
    found = region_weights(torch.tensor(box, dtype=torch.float64), (rows, columns), cells)
    assert found.dtype == torch.float32
    # In single precision the corners of the tiny box are off by a twentieth of its side.
    np.testing.assert_allclose(
        found, reference(box, rows, columns, cells), atol=0.1 if box[2] - box[0] < 1e-5 else 1e-5
    )
    np.testing.assert_allclose(found.sum(dim=-1), 1, atol=1e-6)


@pytest.mark.parametrize("name", ["crosses patches", "across the edge", "on the borders of patches"])
def test_weights_are_shares_of_pixels(name):
    found = region_weights(torch.tensor(BOXES[name], dtype=torch.float32), (3, 5))
    np.testing.assert_allclose(found[0], sampled(BOXES[name], 3, 5), atol=2e-3)


def test_weights_by_hand():
    """Two rows and two columns; the box takes half of the left column's width and a quarter of the right one's."""
    found = region_weights(torch.tensor([0.25, 0.0, 0.625, 0.5]), (2, 2))
    torch.testing.assert_close(found, torch.tensor([[2 / 3, 1 / 3, 0, 0]]))
    found = region_weights(torch.tensor([0.25, 0.25, 0.75, 1.0]), (2, 2), 2)
    expected = [[2 / 3, 0, 1 / 3, 0], [0, 2 / 3, 0, 1 / 3], [0, 0, 1, 0], [0, 0, 0, 1]]
    torch.testing.assert_close(found, torch.tensor(expected))


def test_a_box_in_one_patch_has_that_patch_alone_however_small():
    found = region_weights(torch.tensor([0.3, 0.3, 0.3 + 1e-6, 0.3 + 1e-6]), (4, 4))
    assert found[0, 5] == 1
    assert found.sum() == 1


@pytest.mark.parametrize("box", [(0.5, 0.2, 0.5, 0.8), (0, 0, 0, 0), (1.2, 0, 1.4, 1), (0.6, 0, 0.4, 1)])
def test_a_box_without_area_on_the_image_has_no_weights(box):
    found = region_weights(torch.tensor(box), (4, 4), 2)
    assert found.shape == (4, 16)
    assert not found.any()


def test_boxes_have_any_leading_dimensions():
    boxes = torch.tensor([*BOXES.values()])
    many = region_weights(boxes.view(7, 1, 4).expand(7, 2, 4), (3, 4), 2)
    assert many.shape == (7, 2, 4, 12)
    torch.testing.assert_close(many[4, 1], region_weights(boxes[4], (3, 4), 2))


def test_the_whole_image_is_the_first_box():
    boxes = with_whole_image(torch.full((2, 1, 4), 0.5))
    assert boxes.tolist() == [[[0, 0, 1, 1], [0.5] * 4]] * 2
    assert with_whole_image(torch.zeros(3, 0, 4)).tolist() == [[[0, 0, 1, 1]]] * 3


@pytest.mark.parametrize(
    ("size", "count", "grid"),
    [(32, 16, (4, 4)), (32, 49, (7, 7)), ((32, 64), 8, (2, 4)), ((64, 32), 18, (6, 3)), (32, 1, (1, 1))],
)
def test_the_grid_follows_from_the_number_of_patches(size, count, grid):
    config = CLIPVisionConfig(patch_size=8)
    config.image_size = size
    assert patch_grid(count, config) == grid


@pytest.mark.parametrize("count", [15, 0, 32])
def test_patches_that_form_no_grid_are_refused(count):
    with pytest.raises(ValueError, match=rf"have {count} patches per hidden state.*get_vision_features"):
        patch_grid(count, CLIPVisionConfig(patch_size=8, image_size=32))

"""How much of each image patch lies in a box: an object's features are read off the patches of the whole image."""

from math import gcd, isqrt

import torch

CROPS, REGIONS = "crops", "regions"
OBJECT_FEATURES = (CROPS, REGIONS)


def region_weights(boxes: torch.Tensor, grid: tuple[int, int], cells: int = 1) -> torch.Tensor:
    r"""
    The weights with which patches make up boxes: the share of the box, or of each cell of it, that lies in a patch.
    They are exact for any box, however small.

    Args:
        boxes (`torch.Tensor`): `(..., 4)`: x0, y0, x1, y1 in fractions of the image. What lies beyond the image is cut
            off first.
        grid (`tuple[int, int]`): The number of rows and columns of patches.
        cells (`int`, *optional*, defaults to 1): Cells per side into which a box is divided.

    Returns:
        `torch.Tensor`: `(..., cells ** 2, n)` in float32, cells and patches row by row from the top left. They sum to
        one over the patches, or to zero for a box without area.
    """
    x0, y0, x1, y1 = boxes.float().clamp(0, 1).unbind(-1)
    along_y, along_x = _shares(y0, y1, grid[0], cells), _shares(x0, x1, grid[1], cells)
    weights = along_y[..., :, None, :, None] * along_x[..., None, :, None, :]  # (..., cells, cells, rows, columns)
    return weights.flatten(-2).flatten(-3, -2)


def _shares(start: torch.Tensor, end: torch.Tensor, patches: int, cells: int) -> torch.Tensor:
    """The share of each cell of an interval that lies in each patch, along one side: `(..., cells, patches)`."""
    steps = torch.arange(cells + 1, dtype=start.dtype, device=start.device) / cells
    borders = (start[..., None] + (end - start)[..., None] * steps) * patches  # in patches
    left = torch.arange(patches, dtype=start.dtype, device=start.device)
    low, high = borders[..., :-1, None], borders[..., 1:, None]
    overlap = (torch.minimum(high, left + 1) - torch.maximum(low, left)).clamp(min=0)
    return overlap / overlap.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(overlap.dtype).tiny)


def with_whole_image(object_boxes: torch.Tensor) -> torch.Tensor:
    """The boxes of all slots, `(B, 1 + m, 4)`: the whole image in slot 0, then the objects, `(B, m, 4)`."""
    whole = object_boxes.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(object_boxes.shape[0], 1, 4)
    return torch.cat([whole, object_boxes], dim=1)


def patch_grid(count: int, vision_config) -> tuple[int, int]:
    r"""
    The rows and columns of patches of vision features, for images in the proportions of the encoder's input.

    Args:
        count (`int`): The number of patches.
        vision_config (`PreTrainedConfig`): Configuration of the vision encoder.

    Raises:
        ValueError: No such grid has `count` patches.
    """
    size = getattr(vision_config, "image_size", 224)
    height, width = (size, size) if isinstance(size, int) else size
    side = gcd(height, width)
    unit = (height // side, width // side)
    scale = isqrt(count // (unit[0] * unit[1]))
    grid = (unit[0] * scale, unit[1] * scale)
    if count < 1 or grid[0] * grid[1] != count:
        raise ValueError(
            f"`vision_features` have {count} patches per hidden state, which form no grid in the proportions of the "
            f"encoder's input, {height} × {width}. Compute features with `get_vision_features` of this model, which "
            "reads objects off the patches of all hidden states (`object_features='regions'`)."
        )
    return grid

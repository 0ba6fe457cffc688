import numpy as np
import pytest
from PIL import Image
from transformers import (
    BitImageProcessorPil,
    CLIPImageProcessorPil,
    DeiTImageProcessorPil,
    SiglipImageProcessorPil,
    ViTImageProcessorPil,
)

from tgdi_hf.processing.image_resizing import (
    NOT_SQUASHED,
    Squashed,
    checked_resizes,
    encoder_pixels,
    seen_box,
    squashed_parts,
    squashed_size,
)

CLIP, VIT = CLIPImageProcessorPil(), ViTImageProcessorPil()
DINO = BitImageProcessorPil(size={"shortest_edge": 256})  # as in the checkpoints of DINOv2
DEIT = DeiTImageProcessorPil()  # 256 × 256, cropped to 224 × 224
SMALL = CLIPImageProcessorPil(size={"shortest_edge": 12}, crop_size={"height": 8, "width": 10})


def noise(width, height):
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8))


def ramp(width, height):
    """Red is the column and green the row of each pixel."""
    columns, rows = np.meshgrid(np.arange(width), np.arange(height))
    return Image.fromarray(np.stack([columns, rows, 0 * rows], axis=-1).astype(np.uint8))


# Pixels


@pytest.mark.parametrize("size", [(400, 100), (100, 400), (37, 53)])
@pytest.mark.parametrize("image_processor", [CLIP, DINO, DEIT], ids=["clip", "dino", "deit"])
def test_a_squashed_image_is_resized_by_pillow_and_normalized(image_processor, size):
    image = noise(*size)
    (pixels,) = encoder_pixels(image_processor, [image], squash=True)
    resized = np.asarray(image.resize((224, 224), image_processor.resample), dtype=np.float64)
    mean, std = np.array(image_processor.image_mean), np.array(image_processor.image_std)
    np.testing.assert_allclose(pixels, ((resized / 255 - mean) / std).transpose(2, 0, 1), atol=1e-5)


def test_resampling_and_normalization_are_those_of_the_image_processor():
    plain = CLIPImageProcessorPil(resample=Image.Resampling.NEAREST, do_normalize=False, rescale_factor=1.0)
    image = noise(30, 20)
    (pixels,) = encoder_pixels(plain, [image], True, {"crop_size": {"height": 4, "width": 6}})
    expected = np.asarray(image.resize((6, 4), Image.Resampling.NEAREST)).transpose(2, 0, 1)
    assert np.array_equal(pixels, expected)


@pytest.mark.parametrize("image_processor", [CLIP, SMALL, VIT], ids=["clip", "small", "vit"])
def test_without_squashing_pixels_are_those_of_the_image_processor(image_processor):
    image = noise(40, 30)
    (pixels,) = encoder_pixels(image_processor, [image], squash=False)
    assert np.array_equal(pixels, image_processor([image])["pixel_values"][0])


def test_a_square_image_is_the_same_either_way():
    cropped, squashed = (encoder_pixels(CLIP, [noise(90, 90)], squash)[0] for squash in (False, True))
    assert np.array_equal(cropped, squashed)
    cropped, squashed = (encoder_pixels(CLIP, [noise(90, 91)], squash)[0] for squash in (False, True))
    assert not np.array_equal(cropped, squashed)


# The size of squashed images


@pytest.mark.parametrize(
    ("image_processor", "options", "expected"),
    [
        (CLIP, {}, (224, 224)),
        (SMALL, {}, (8, 10)),
        (SMALL, {"do_center_crop": False}, (12, 12)),
        (SMALL, {"do_center_crop": False, "size": {"height": 3, "width": 5}}, (3, 5)),
        (SMALL, {"crop_size": 6}, (6, 6)),
        (SMALL, {"crop_size": (6, 7)}, (6, 7)),
        (SMALL, {"do_resize": False}, None),
        (SMALL, {"do_center_crop": False, "size": {"shortest_edge": 12, "longest_edge": 20}}, None),
        (SMALL, {"do_center_crop": False, "size": 9}, (9, 9)),
        (VIT, {}, (224, 224)),
        (VIT, {"size": 16}, (16, 16)),
        (len, {}, None),
    ],
)
def test_the_size_is_that_of_the_crop_or_else_of_the_resized_image(image_processor, options, expected):
    assert squashed_size(image_processor, options) == expected


def test_image_processors_that_squash_are_left_to_do_so():
    for image_processor in (VIT, SiglipImageProcessorPil()):
        assert squashed_parts(image_processor, "squash", "squash") == NOT_SQUASHED
    # Resized to 256 × 256 and cropped to 224 × 224, an image loses its border.
    for image_processor in (CLIP, DINO, DEIT):
        assert squashed_parts(image_processor, "crop", "squash") == Squashed(image=False, objects=True)
        assert squashed_parts(image_processor, "squash", "crop") == Squashed(image=True, objects=False)
    square = {"do_center_crop": False, "size": {"height": 8, "width": 8}}
    assert squashed_parts(CLIP, "squash", "squash", square) == NOT_SQUASHED
    assert squashed_parts(CLIP, "squash", "squash", {"do_resize": False}) == NOT_SQUASHED


# Options


def test_objects_are_squashed_by_default_if_possible():
    assert checked_resizes(CLIP, None, None) == ("crop", "squash")
    assert checked_resizes(VIT, None, None) == ("crop", "squash")
    assert checked_resizes(CLIP, "squash", "crop") == ("squash", "crop")
    for without_size in (len, CLIPImageProcessorPil(do_resize=False)):
        assert checked_resizes(without_size, None, None) == ("crop", "crop")


@pytest.mark.parametrize("value", ["Squash", "", 1, True, ["squash"], {"crop": 1}])
@pytest.mark.parametrize("name", ["image_resize", "object_resize"])
def test_other_values_are_rejected(name, value):
    with pytest.raises(ValueError, match=rf"`{name}` is .*; expected 'crop' or 'squash'\."):
        checked_resizes(CLIP, **{"image_resize": None, "object_resize": None, name: value})


def test_squashing_requires_a_size():
    with pytest.raises(ValueError, match="`image_resize` is 'squash', but the CLIPImageProcessorPil has no fixed size"):
        checked_resizes(CLIPImageProcessorPil(do_resize=False), "squash", "crop")
    ragged = {"do_center_crop": False, "size": {"shortest_edge": 8, "longest_edge": 20}}
    with pytest.raises(ValueError, match="to be squashed, but the CLIPImageProcessorPil has no fixed.*`size` with"):
        encoder_pixels(CLIP, [noise(9, 9)], True, ragged)


# The part of an image that the encoder sees


@pytest.mark.parametrize(
    ("image_processor", "size", "expected"),
    [
        (CLIP, (400, 100), (150, 0, 250, 100)),  # 896 × 224, of which columns 336 to 560 remain
        (CLIP, (100, 400), (0, 150, 100, 250)),
        (CLIP, (224, 224), (0, 0, 224, 224)),
        (CLIP, (300, 200), (50, 0, 250, 200)),  # 336 × 224: columns 56 to 280, times 300 / 336
        (DINO, (256, 256), (16, 16, 240, 240)),
        (DINO, (512, 256), (144, 16, 368, 240)),
        (DEIT, (512, 256), (32, 16, 480, 240)),
        (VIT, (400, 100), (0, 0, 400, 100)),
        (CLIPImageProcessorPil(do_resize=False), (250, 225), (13, 0, 237, 224)),
        (CLIPImageProcessorPil(do_resize=False), (100, 225), (-62, 0, 162, 224)),  # padded
        (len, (400, 100), (0, 0, 400, 100)),
    ],
)
def test_the_box_that_remains_after_cropping(image_processor, size, expected):
    assert seen_box(image_processor, size, "crop") == pytest.approx(expected)
    assert seen_box(image_processor, size, "squash") == (0, 0, *size)


@pytest.mark.parametrize("resize", ["crop", "squash"])
@pytest.mark.parametrize("size", [(200, 50), (50, 200), (61, 50), (97, 113)])
@pytest.mark.parametrize("image_processor", [SMALL, CLIP, DINO, DEIT], ids=["small", "clip", "dino", "deit"])
def test_pixels_come_from_that_box(image_processor, size, resize):
    """In an image whose values are its coordinates, those of the box appear at the corners of the pixel values."""
    squash = resize == "squash"
    plain = {"do_normalize": False, "rescale_factor": 1.0, "resample": Image.Resampling.BILINEAR}
    (pixels,) = encoder_pixels(image_processor, [ramp(*size)], squash, plain)
    x0, y0, x1, y1 = seen_box(image_processor, size, resize)
    height, width = pixels.shape[1:]
    column, row = width // 2, height // 2
    # Pixel i covers i to i + 1, and its value, at the centre, is its number.
    x = x0 + (column + 0.5) * (x1 - x0) / width - 0.5
    y = y0 + (row + 0.5) * (y1 - y0) / height - 0.5
    assert pixels[:2, row, column] == pytest.approx([x, y], abs=1)
    scale = max((x1 - x0) / width, (y1 - y0) / height, 1)  # pixels of the image per pixel of the encoder
    assert pixels[0, row, [0, -1]] == pytest.approx([x0, x1 - 1], abs=scale)
    assert pixels[1, [0, -1], column] == pytest.approx([y0, y1 - 1], abs=scale)


def test_an_unknown_way_of_resizing_is_rejected():
    image_processor = CLIPImageProcessorPil(size={"shortest_edge": 8, "longest_edge": 20})
    with pytest.raises(ValueError, match=r"`size` is .*longest_edge.*; expected `shortest_edge`"):
        seen_box(image_processor, (40, 10), "crop")
    assert seen_box(image_processor, (40, 10), "squash") == (0, 0, 40, 10)

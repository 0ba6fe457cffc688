import io

import numpy as np
import pytest
import torch
from PIL import Image

from tgdi_hf.processing.image_opening import open_image

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def read(source, **options):
    return open_image(source, "row 0, image", **options)


def colour(source):
    return read(source).getpixel((0, 0))


def saved(image, path, **options):
    image.save(path, **options)
    return path


def written(path, content):
    path.write_bytes(content)
    return path


def noise(width=8, height=6):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encoded(image, kind="PNG"):
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def test_all_kinds_of_sources_give_the_same_image(tmp_path):
    array = noise()
    image = Image.fromarray(array)
    path = saved(image, tmp_path / "a.png")
    forms = [
        *(image, path, str(path), array, np.moveaxis(array, -1, 0)),
        *(array / 255, (array / 255).astype(np.float32), (array / 255).astype(np.float16)),
        *(torch.tensor(array), torch.tensor(array).permute(2, 0, 1), torch.tensor(array / 255, requires_grad=True)),
        *({"bytes": path.read_bytes(), "path": None}, {"bytes": None, "path": str(path)}, {"path": path}),
    ]
    for form in forms:
        pil_image = read(form)
        assert pil_image.mode == "RGB"
        assert np.array_equal(np.asarray(pil_image), array), type(form)
    rough = np.asarray(read(torch.tensor(array / 255).bfloat16())).astype(int)
    assert abs(rough - array).max() <= 1


def test_channels_are_last_if_both_readings_are_possible():
    array = np.zeros((3, 5, 3), np.uint8)
    assert read(array).size == (5, 3)


def test_all_modes_are_converted_to_rgb(tmp_path):
    assert colour(Image.new("L", (4, 4), 128)) == (128, 128, 128)
    assert colour(np.full((4, 4), 128, np.uint8)) == (128, 128, 128)
    assert colour(np.full((5, 5, 1), 128, np.uint8)) == (128, 128, 128)
    assert colour(Image.new("1", (4, 4), 1)) == WHITE
    assert colour(saved(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), tmp_path / "a.tiff"))[0] > 200
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([*RED, *BLUE])
    assert colour(palette) == RED


@pytest.mark.parametrize(("alpha", "expected"), [(0, WHITE), (255, RED), (51, (255, 204, 204))])
def test_transparent_pixels_become_white(alpha, expected):
    assert colour(Image.new("RGBA", (4, 4), (*RED, alpha))) == expected
    array = np.zeros((4, 4, 4), np.uint8)
    array[...] = (*RED, alpha)
    assert colour(array) == expected


def test_transparency_in_other_modes(tmp_path):
    assert colour(Image.new("LA", (4, 4), (0, 0))) == WHITE
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([*RED, *BLUE])
    assert colour(saved(palette, tmp_path / "a.gif", transparency=0)) == WHITE
    assert colour(saved(Image.new("RGB", (4, 4), RED), tmp_path / "a.png", transparency=RED)) == WHITE


@pytest.mark.parametrize(("value", "expected"), [(65535, 255), (32768, 128), (255, 0), (0, 0)])
def test_16_bit_images_are_scaled_to_8_bits(tmp_path, value, expected):
    deep = Image.fromarray(np.full((4, 4), value, np.uint16))
    assert colour(saved(deep, tmp_path / "deep.png")) == (expected,) * 3
    assert colour(saved(deep, tmp_path / "deep.tiff")) == (expected,) * 3


def test_the_first_frame_of_an_animation_is_used(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert colour(path) == RED
    with Image.open(path) as later:
        later.seek(1)
        assert colour(later) == RED
        assert later.tell() == 1  # unchanged


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (8, 4), RED)
    exif = Image.Exif()
    exif[274] = 6  # rotate by 90°
    path = saved(image, tmp_path / "a.jpg", exif=exif)
    assert read(path).size == (4, 8)
    with Image.open(path) as mine:
        assert read(mine).size == (4, 8)
        assert mine.size == (8, 4)  # unchanged


def test_a_single_pixel_is_an_image():
    assert read(Image.new("RGB", (1, 1), BLUE)).size == (1, 1)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_rejected_before_decoding(tmp_path, monkeypatch):
    bomb = saved(Image.new("1", (20_000, 20_000)), tmp_path / "bomb.png")
    warned = saved(Image.new("1", (10_000, 10_000)), tmp_path / "warned.png")  # PIL only warns
    small = saved(Image.new("L", (300, 200)), tmp_path / "small.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *args: pytest.fail("decoded"))
    with pytest.raises(ValueError, match=r"bomb.png.*400000000 pixels.*max_image_pixels.*PIL.Image.MAX_IMAGE_PIXELS"):
        read(bomb)
    with pytest.raises(ValueError, match=r"warned.png: the image has 10000 × 10000 pixels.*89,478,485"):
        read(warned)
    with pytest.raises(ValueError, match=r"300 × 200 pixels, more than the limit of 50,000.*raise `max_image_pixels`"):
        read(small, max_pixels=50_000)
    with pytest.raises(ValueError, match="more than the limit of 50,000"), Image.open(small) as lazy:
        read(lazy, max_pixels=50_000)


def damaged_header(path):
    content = bytearray(encoded(Image.fromarray(noise(64, 64)), "TIFF"))
    content[:400:3] = b"\xff" * len(content[:400:3])
    return written(path, b"II*\x00" + bytes(content[4:]))


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "absent.jpg", r"row 0, image, .*absent.jpg: no such file.*leave it out: `None`"),
        (lambda folder: folder, "found a folder, a pipe or a device"),
        (
            lambda folder: written(folder / "page.jpg", b"<html>404</html>"),
            "page.jpg: .* not in an image format",
        ),
        (lambda folder: written(folder / "empty.jpg", b""), "empty.jpg: the file is not in an image format"),
        (
            lambda folder: written(folder / "half.png", encoded(Image.fromarray(noise(64, 64)))[:1500]),
            "half.png: the image cannot be decoded; it is damaged, truncated",
        ),
        (
            lambda folder: written(folder / "half.jpg", encoded(Image.fromarray(noise(64, 64)), "JPEG")[:1500]),
            "half.jpg: the image cannot be decoded; it is damaged, truncated",
        ),
        (lambda folder: damaged_header(folder / "bad.tiff"), "bad.tiff"),
        (
            lambda folder: {"bytes": b"nothing", "path": "x.jpg"},
            "row 0, image, x.jpg: .* not in an image format",
        ),
        (lambda folder: {"bytes": b"nothing", "path": None}, "row 0, image: the file is not in an image format"),
        (lambda folder: np.zeros((5, 6, 7), np.uint8), r"found \(5, 6, 7\)"),
        (lambda folder: np.zeros((0, 4, 3), np.uint8), r"found \(0, 4, 3\)"),
        (lambda folder: np.zeros((4,), np.uint8), r"found \(4,\)"),
        (lambda folder: np.zeros((2, 3, 4, 3), np.uint8), r"found \(2, 3, 4, 3\)"),
        (lambda folder: np.full((4, 4, 3), np.nan), "48 values that are NaN"),
        (lambda folder: torch.full((3, 5, 5), float("inf")), "NaN or infinite"),
        (lambda folder: np.full((4, 4, 3), 200.0), r"expected floats from 0 to 1, found 200 to 200.*astype\('uint8'\)"),
        (lambda folder: np.full((4, 4, 3), -0.5), "found -0.5 to -0.5"),
        (lambda folder: np.zeros((4, 4, 3), np.int64), r"uint8 or floats, found int64.*astype\('uint8'\)"),
        (lambda folder: Image.new("F", (4, 4)), "mode F has no fixed range"),
    ],
)
def test_invalid_images_are_named(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        read(make(tmp_path))


def test_files_are_closed(tmp_path, recwarn):
    read(saved(Image.fromarray(noise()), tmp_path / "a.png"))
    assert not [warning for warning in recwarn if warning.category is ResourceWarning]

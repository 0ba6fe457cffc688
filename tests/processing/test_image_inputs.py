import numpy as np
import pytest
import torch
from PIL import Image

from tgdi_hf.processing.image_inputs import PictureReader, is_box

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def read(source, **options):
    return PictureReader(**options).read(source, "row 0, image")[1]


def saved(image, path, **options):
    image.save(path, **options)
    return path


def test_all_forms_of_a_picture_are_the_same_picture(tmp_path):
    rng = np.random.default_rng(0)
    array = rng.integers(0, 256, (6, 8, 3), dtype=np.uint8)
    image = Image.fromarray(array)
    path = saved(image, tmp_path / "a.png")
    sources = [
        image, path, str(path), array, torch.tensor(array), np.moveaxis(array, -1, 0), array / 255.0,
        {"bytes": path.read_bytes(), "path": None}, {"bytes": None, "path": str(path)},
    ]  # fmt: skip
    for source in sources:
        picture = read(source)
        assert picture.mode == "RGB"
        assert np.array_equal(np.asarray(picture), array), type(source)


def test_modes_are_brought_to_rgb(tmp_path):
    gray = read(Image.new("L", (4, 4), 128))
    assert gray.getpixel((0, 0)) == (128, 128, 128)
    assert read(np.full((4, 4), 128, np.uint8)).getpixel((0, 0)) == (128, 128, 128)
    assert read(np.full((4, 4, 1), 128, np.uint8)).getpixel((0, 0)) == (128, 128, 128)
    assert read(Image.new("1", (4, 4), 1)).getpixel((0, 0)) == WHITE
    assert read(Image.new("RGBA", (4, 4), (*RED, 0))).getpixel((0, 0)) == WHITE  # transparent: on white
    assert read(Image.new("RGBA", (4, 4), (*RED, 255))).getpixel((0, 0)) == RED
    assert read(Image.new("LA", (4, 4), (0, 0))).getpixel((0, 0)) == WHITE
    assert read(saved(Image.new("CMYK", (4, 4), (0, 255, 255, 0)), tmp_path / "a.tiff")).getpixel((0, 0))[0] > 200
    palette = Image.new("P", (4, 4), 0)
    palette.putpalette([*RED, *BLUE])
    assert read(palette).getpixel((0, 0)) == RED
    assert read(saved(palette, tmp_path / "a.gif", transparency=0)).getpixel((0, 0)) == WHITE
    deep = Image.fromarray(np.full((4, 4), 65535, np.uint16))
    assert read(saved(deep, tmp_path / "deep.png")).getpixel((0, 0)) == WHITE


def test_of_an_animation_the_first_frame(tmp_path):
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    path = saved(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert read(path).getpixel((0, 0)) == RED
    later = Image.open(path)
    later.seek(1)
    assert read(later).getpixel((0, 0)) == RED


def test_exif_orientation_is_applied(tmp_path):
    image = Image.new("RGB", (8, 4), RED)
    exif = Image.Exif()
    exif[274] = 6  # turn by 90°
    assert read(saved(image, tmp_path / "a.jpg", exif=exif)).size == (4, 8)


def test_a_single_pixel_is_a_picture():
    assert read(Image.new("RGB", (1, 1), BLUE)).size == (1, 1)


def test_a_bomb_is_refused_before_it_is_decoded(tmp_path, monkeypatch):
    bomb = saved(Image.new("1", (20_000, 20_000)), tmp_path / "bomb.png")
    path = saved(Image.new("L", (300, 200)), tmp_path / "large.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *args: pytest.fail("decoded"))
    with pytest.raises(ValueError, match="bomb.png.*decompression bomb"):
        read(bomb)
    with pytest.raises(ValueError, match=r"300 × 200 pixels, more than the limit of 50,000.*max_image_pixels"):
        read(path, max_pixels=50_000)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: folder / "absent.jpg", "absent.jpg.*No such file"),
        (lambda folder: folder, "can't be opened"),
        (lambda folder: text(folder / "page.jpg", b"<html>404</html>"), "page.jpg is not a picture"),
        (lambda folder: text(folder / "empty.jpg", b""), "empty.jpg is not a picture"),
        (lambda folder: truncated(folder / "half.jpg"), "half.jpg: the picture is damaged or truncated"),
        (lambda folder: {"bytes": b"nothing", "path": "x.jpg"}, "row 0, image is not a picture"),
        (lambda folder: {"bytes": None, "path": None}, "expected a picture.*NoneType"),
        (lambda folder: 5, "expected a picture.*int"),
        (lambda folder: np.zeros((5, 6, 7), np.uint8), r"found \(5, 6, 7\)"),
        (lambda folder: np.zeros((0, 4, 3), np.uint8), r"found \(0, 4, 3\)"),
        (lambda folder: np.zeros((4,), np.uint8), r"found \(4,\)"),
        (lambda folder: np.full((4, 4, 3), np.nan), "48 values that are NaN"),
        (lambda folder: torch.full((3, 4, 4), float("inf")), "NaN or infinite"),
        (lambda folder: np.full((4, 4, 3), 200.0), "floats has values from 0 to 1, found 200 to 200"),
        (lambda folder: np.zeros((4, 4, 3), np.int64), "uint8 or floats, found int64"),
    ],
)
def test_what_is_not_a_picture_is_named(tmp_path, make, message):
    with pytest.raises(ValueError, match=message):
        read(make(tmp_path))


def text(path, content):
    path.write_bytes(content)
    return path


def truncated(path):
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    return text(path, path.read_bytes()[:1500])


def test_boxes_are_cut_from_the_picture():
    reader = PictureReader()
    image = Image.new("RGB", (10, 8), RED)
    image.paste(BLUE, (4, 2, 8, 6))
    key, _ = reader.read(image, "row 0, image")
    _, crop = reader.crop(key, (4, 2, 8, 6), "row 0, object 0")
    assert crop.size == (4, 4)
    assert crop.getcolors() == [(16, BLUE)]
    assert reader.crop(key, (-5, -5, 3.2, 2), "")[1].size == (4, 2)  # what stands out is cut off
    assert reader.crop(key, (4, 2, 8, 6), "")[1] is crop
    for box in ((10, 0, 12, 4), (4, 4, 4, 6), (6, 4, 4, 6), (-4, 0, 0, 3)):
        with pytest.raises(ValueError, match=r"row 1, object 2: no pixel of the picture, 10 × 8"):
            reader.crop(key, box, "row 1, object 2")
    for box in ((0, 0, 4), (0, 0, float("nan"), 4)):
        with pytest.raises(ValueError, match="not four finite numbers"):
            reader.crop(key, box, "")


def test_boxes_are_told_from_pictures():
    assert is_box((0, 0, 4, 4))
    assert is_box([0.5, 0, 4, 4])
    assert is_box(np.array([0, 0, 4, 4]))
    assert is_box(torch.tensor([0, 0, 4, 4]))
    assert not is_box(np.zeros((4, 4, 3)))
    assert not is_box("a.png")
    assert not is_box({"path": "a.png"})
    assert not is_box(Image.new("RGB", (2, 2)))


def test_two_images_of_one_file_may_differ(tmp_path):
    path = saved(Image.new("RGB", (4, 4), RED), tmp_path / "a.png")
    one, two = Image.open(path), Image.open(path)
    two.paste(BLUE, (0, 0, 4, 4))
    reader = PictureReader()
    assert reader.read(one, "")[1].getpixel((0, 0)) == RED
    assert reader.read(two, "")[1].getpixel((0, 0)) == BLUE

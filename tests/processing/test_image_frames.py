import copy
import io
import multiprocessing
import pickle

import numpy as np
import pytest
from datasets import Dataset, Features
from datasets import Image as ImageFeature
from PIL import Image, PngImagePlugin

from tgdi_hf.processing.image_opening import open_image

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
FRAMES = [Image.fromarray(np.full((4, 6, 3), 60 * i, np.uint8)) for i in range(4)]


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def turned():
    exif = Image.Exif()
    exif[274] = 6  # rotate by 90°
    return exif


def transparent():
    return Image.fromarray(np.dstack([PIXELS, np.full(PIXELS.shape[:2], 100, np.uint8)]))


RGB = Image.fromarray(PIXELS)
FILES = {
    "PNG": encoded(RGB, "PNG"),
    "PNG, palette": encoded(RGB.convert("P"), "PNG"),
    "PNG, transparent": encoded(transparent(), "PNG"),
    "PNG, transparent colour": encoded(RGB.convert("P"), "PNG", transparency=3),
    "PNG, 16 bits": encoded(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 256), "PNG"),
    "PNG, turned": encoded(RGB, "PNG", exif=turned()),
    "GIF": encoded(RGB.convert("P"), "GIF", transparency=3),
    "TIFF": encoded(RGB, "TIFF"),
    "TIFF, turned": encoded(RGB, "TIFF", exif=turned()),
    "TIFF, CMYK": encoded(RGB.convert("CMYK"), "TIFF"),
    "WebP": encoded(RGB, "WebP", lossless=True),
    "WebP, turned": encoded(RGB, "WebP", lossless=True, exif=turned()),
    "JPEG": encoded(RGB, "JPEG"),
    "JPEG, grey": encoded(RGB.convert("L"), "JPEG"),
    "JPEG, CMYK": encoded(RGB.convert("CMYK"), "JPEG"),
    "JPEG, turned": encoded(RGB, "JPEG", exif=turned()),
    "BMP": encoded(RGB, "BMP"),
}
ANIMATIONS = {
    kind: encoded(FRAMES[0], kind, save_all=True, append_images=FRAMES[1:], **options)
    for kind, options in {"GIF": {}, "PNG": {}, "TIFF": {}, "WebP": {"lossless": True}}.items()
}
WAYS = {
    "pickle": lambda image: pickle.loads(pickle.dumps(image)),
    "pickle of a pickle": lambda image: pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(image)))),
    "copy.copy": copy.copy,
    "copy.deepcopy": copy.deepcopy,
    "copy": lambda image: image.copy(),
    "pickle of a copy": lambda image: pickle.loads(pickle.dumps(image.copy())),
    "convert": lambda image: image.convert(image.mode),
}


def read(image):
    return np.asarray(open_image(image, "row 0, image"))


def read_pickled(content):
    return read(pickle.loads(content)).tolist()


@pytest.mark.parametrize("loaded", [False, True])
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", FILES)
def test_a_copied_image_has_the_pixels_of_its_file(kind, way, loaded):
    expected = read({"bytes": FILES[kind], "path": None})
    with Image.open(io.BytesIO(FILES[kind])) as image:
        if loaded:
            image.load()
        other = WAYS[way](image)
    actual = read(other)
    assert np.array_equal(actual, expected)
    assert np.array_equal(read(other), expected)  # repeatable
    assert np.array_equal(np.asarray(other), np.asarray(WAYS[way](Image.open(io.BytesIO(FILES[kind])))))  # unchanged


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", ANIMATIONS)
def test_a_copy_has_the_selected_frame(kind, way):
    with Image.open(io.BytesIO(ANIMATIONS[kind])) as image:
        image.seek(3)
        other = WAYS[way](image)
        assert (read(image) == 0).all()  # the first frame while the file is open
        assert image.tell() == 3
    assert np.abs(read(other).astype(int) - 180).max() <= 1


@pytest.mark.parametrize("kind", FILES)
def test_a_closed_image_is_readable_if_it_was_loaded(kind):
    with Image.open(io.BytesIO(FILES[kind])) as image:
        image.load()
    assert np.array_equal(read(image), read({"bytes": FILES[kind], "path": None}))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF"])
def test_a_closed_animation_has_the_selected_frame(kind, tmp_path):
    (tmp_path / "a").write_bytes(ANIMATIONS[kind])
    with Image.open(tmp_path / "a") as image:  # closes a file that PIL opened
        image.seek(3)
        image.load()
    for _ in range(2):
        assert np.abs(read(image).astype(int) - 180).max() <= 1
    assert image.tell() == 3


@pytest.mark.parametrize(
    "kind", [kind for kind in FILES if not kind.startswith("WebP")]
)  # decodes all pixels on opening
def test_a_closed_image_is_rejected_if_it_was_not_loaded(kind, tmp_path):
    with Image.open(io.BytesIO(FILES[kind])) as image:
        pass
    message = f"row 0, image: the {image.format} file was closed before its pixels were read.*load()"
    with pytest.raises(ValueError, match=message):
        read(image)
    (tmp_path / "a").write_bytes(FILES[kind])
    with (tmp_path / "a").open("rb") as file:
        image = Image.open(file)
    with pytest.raises(ValueError, match=message):
        read(image)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "GIF"])
def test_a_damaged_image_is_rejected(kind):
    content = encoded(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)), kind)
    with pytest.raises(ValueError, match="row 0, image: the image cannot be decoded"):
        read(Image.open(io.BytesIO(content[: len(content) // 2])))


def test_subclasses_of_image_formats_are_accepted():
    class MyImage(PngImagePlugin.PngImageFile):
        pass

    image = MyImage(io.BytesIO(FILES["PNG"]))
    assert np.array_equal(read(copy.deepcopy(image)), PIXELS)


@pytest.mark.slow  # starts processes
def test_a_spawned_process_reads_the_same_pixels():
    kinds = ["PNG", "GIF", "TIFF", "WebP", "JPEG, turned", "JPEG, CMYK", "PNG, palette"]
    pickles = [pickle.dumps(Image.open(io.BytesIO(FILES[kind]))) for kind in kinds]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        actual = pool.map(read_pickled, pickles)
    assert actual == [read({"bytes": FILES[kind], "path": None}).tolist() for kind in kinds]


@pytest.mark.parametrize("kind", FILES)
def test_images_decoded_by_datasets(kind):
    rows = Dataset.from_dict({"image": [{"bytes": FILES[kind], "path": None}]}, Features({"image": ImageFeature()}))
    expected = read({"bytes": FILES[kind], "path": None})
    image = rows[0]["image"]
    for other in (image, pickle.loads(pickle.dumps(image)), rows["image"][0], next(iter(rows))["image"]):
        assert np.array_equal(read(other), expected)

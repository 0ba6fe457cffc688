import base64
import io

import pytest

from tgdi_hf.annotations.document import Unusable
from tgdi_hf.annotations.image_folder import ImageFolder, is_image_reference


@pytest.fixture
def folder(tmp_path, image):
    for name in ("photos/images/1.png", "photos/a b.png", "outside.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(tmp_path / name)
    (tmp_path / "photos/broken.png").write_bytes(b"not an image")
    return tmp_path / "photos"


@pytest.mark.parametrize(
    "reference",
    [
        "images/1.png",
        "/images/1.png",
        "/data/local-files/?d=images/1.png",
        "/data/local-files/?d=images%2F1.png",
    ],
)
def test_paths_of_tools(folder, reference):
    assert ImageFolder(folder).find(reference) == (folder / "images/1.png").resolve()


@pytest.mark.parametrize(
    "reference",
    [
        "a b.png",
        "/data/upload/3/0123abcd-a b.png",
        "https://example.org/x/a%20b.png?size=9",
        "s3://bucket/x/a b.png",
        r"C:\photos\a b.png",
    ],
)
def test_the_name_of_a_file_elsewhere_is_looked_up(folder, reference):
    assert ImageFolder(folder).find(reference) == (folder / "a b.png").resolve()


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("gone.png", "'gone.png': no such file in .*photos. URLs are not fetched"),
        ("../outside.png", "no such file"),
        ("/etc/passwd", "no such file"),
        ("broken.png", "not in an image format"),
        ("x" * 5000 + ".png", "no such file"),
        ("a\0b.png", "no such file"),
        ("http://[", "no such file"),
        ("images", "no such file"),
        ("data:image/png;base64,@@", "is not an image"),
        ("data:image/png;base64,AAAA", "is not an image"),
    ],
)
def test_images_that_cannot_be_used(folder, reference, message):
    with pytest.raises(Unusable, match=message):
        ImageFolder(folder).find(reference)


def test_a_link_out_of_the_folder_is_not_followed(folder):
    (folder / "link.png").symlink_to(folder.parent / "outside.png")
    with pytest.raises(Unusable, match="no such file"):
        ImageFolder(folder).find("link.png")


def test_data_uris(folder, image):
    content = io.BytesIO()
    image.save(content, "PNG")
    uri = "data:image/png;base64," + base64.b64encode(content.getvalue()).decode()
    assert ImageFolder(folder).find(uri) == content.getvalue() and is_image_reference(uri)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("a/b.JPG", True), ("https://x.org/a.png?s=1", True), ("see a.png", False), ("Ann", False), (3, False),
     ("http://[a.png?", False)],
)  # fmt: skip
def test_references_are_told_from_texts(value, expected):
    assert is_image_reference(value) is expected

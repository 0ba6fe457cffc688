import os
from pathlib import Path

import pytest

from tgdi_hf import prepare
from tgdi_hf.data.image_identity import digest_of
from tgdi_hf.preparation import image_finder
from tgdi_hf.preparation.image_finder import FoundImage, ImageFinder
from tgdi_hf.preparation.result_cache import ResultCache

from .preparation_stubs import POST, StubCaptioner, posts, saved_image


def test_paths_outside_the_image_root_are_refused(tmp_path, options):
    inside = tmp_path / "images"
    inside.mkdir()
    saved_image(tmp_path, "secret.png")
    saved_image(inside, "a.png")
    (inside / "link.png").symlink_to(tmp_path / "secret.png")
    paths = ["a.png", "../secret.png", str(tmp_path / "secret.png"), "link.png", "./../images/a.png"]
    rows = [{**POST, "image": path} for path in paths]
    chosen = {**options, "image_folder": inside, "image_root": inside}
    done = prepare(posts(*rows), tmp_path / "out", StubCaptioner(), **chosen)
    assert [fault.row for fault in done.faults] == [1, 2, 3]
    assert all("is outside the image root" in fault.reason for fault in done.faults)


@pytest.fixture
def finder(tmp_path):
    with ResultCache(tmp_path / "cache") as results:
        yield ImageFinder(results, tmp_path, None)


def test_copies_of_a_file_and_its_bytes_have_the_same_digest(finder, tmp_path):
    path = saved_image(tmp_path, "a.png")
    content = Path(path).read_bytes()
    (tmp_path / "copy.png").write_bytes(content)
    found = finder.find(["a.png", path, "copy.png", content, {"bytes": content, "path": "a.png"}, {"path": path}])
    assert {image.digest for image in found} == {digest_of(content)}
    assert found[0].stored == {"bytes": None, "path": path}
    assert found[3].stored == {"bytes": content, "path": None}


@pytest.mark.parametrize("image", [None, "", {"bytes": None, "path": None}])
def test_a_post_may_have_no_image(finder, image):
    assert finder.find([image]) == [FoundImage(None, None)]


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("missing.png", "missing.png: no such file"),
        ("empty.png", "empty.png is empty"),
        ("https://example.org/a.png", "URLs are not fetched"),
        (b"", "has no bytes"),
        (5, "`image` is a int; expected the path or the bytes"),
    ],
)
def test_an_unusable_image_is_an_error_in_its_place(finder, tmp_path, image, message):
    (tmp_path / "empty.png").touch()
    good = saved_image(tmp_path, "a.png")
    first, error, last = finder.find([good, image, good])
    assert first == last and first.digest
    assert isinstance(error, ValueError) and message in str(error)


def test_only_changed_files_are_hashed_again(finder, tmp_path, monkeypatch):
    path = Path(saved_image(tmp_path, "a.png"))
    (before,) = finder.find([str(path)])
    hashed = []
    monkeypatch.setattr(image_finder, "digest_of", lambda path: hashed.append(path) or digest_of(path))
    assert finder.find([str(path)]) == [before]
    assert not hashed
    saved_image(tmp_path, "a.png", shade=7)
    os.utime(path, ns=(0, 0))
    (after,) = finder.find([str(path)])
    assert hashed == [str(path)]
    assert after.digest == digest_of(path) != before.digest

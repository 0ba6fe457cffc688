import errno

import numpy as np
import pytest
from PIL import Image

from tgdi_hf import prepare

from .preparation_stubs import POST, StubCaptioner, StubGrounder, posts, saved_image


def test_phrases_are_detected_once_per_image_and_pair(tmp_path, options):
    path = saved_image(tmp_path, "a.png")
    rows = [{**POST, "image": path}, {**POST, "head": [17, 24], "tail": [0, 3], "image": path}]
    grounder = StubGrounder()
    done = prepare(posts(*rows, {**POST, "head": [8, 13], "image": path}), tmp_path / "out", None, grounder, **options)
    assert done.grounded == 2  # both orders of a pair have the same phrases
    assert [row["object_phrases"] for row in done.dataset["train"]] == [["jfk"], ["jfk"], ["obama"]]
    assert [row["caption"] for row in done.dataset["train"]] == [None] * 3


def test_unusual_image_formats_are_captioned(tmp_path, options):
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8))
    noise.convert("CMYK").save(tmp_path / "cmyk.jpg")
    noise.save(tmp_path / "animated.gif", save_all=True, append_images=[Image.new("RGB", (40, 30))])
    rotation = Image.Exif()
    rotation[0x0112] = 6
    noise.save(tmp_path / "rotated.jpg", exif=rotation)
    noise.convert("L").save(tmp_path / "gray.png")
    names = ("cmyk.jpg", "animated.gif", "rotated.jpg", "gray.png")
    rows = [{**POST, "image": name} for name in names]
    done = prepare(posts(*rows), tmp_path / "out", StubCaptioner(), image_folder=tmp_path, **options)
    assert not done.faults
    sizes = [row["caption"].split(",")[0] for row in done.dataset["train"]]
    assert sizes == ["40 by 30", "40 by 30", "30 by 40", "40 by 30"]


def test_an_image_that_a_model_fails_on_is_reported_and_tried_again_by_the_next_run(tmp_path, options):
    class FailsOnWidthSeven(StubCaptioner):
        def __call__(self, images):
            if any(image.width == 7 for image in images):
                raise RuntimeError("seven!")
            return super().__call__(images)

    rows = [{**POST, "image": saved_image(tmp_path, f"{i}.png", 10 * i, (5 + i, 8))} for i in range(5)]
    done = prepare(posts(*rows), tmp_path / "out", FailsOnWidthSeven(), **options)
    assert [(fault.row, fault.kind, fault.reason) for fault in done.faults] == [(2, "caption", "RuntimeError: seven!")]
    assert [row["caption"] is None for row in done.dataset["train"]] == [False, False, True, False, False]
    assert prepare(posts(*rows), tmp_path / "two", StubCaptioner(), **options).captioned == 1

    class FailsAlways(StubCaptioner):
        def __call__(self, images):
            raise MemoryError("no room")

    with pytest.raises(MemoryError):
        prepare(posts(*rows), tmp_path / "three", FailsAlways(size=2), **options)


def test_a_temporarily_unreadable_file_is_tried_again_by_the_next_run(tmp_path, options, monkeypatch):
    table = posts({**POST, "image": saved_image(tmp_path, "a.png")})
    with monkeypatch.context() as patch:
        error = OSError(errno.EMFILE, "Too many open files")
        patch.setattr(Image, "open", lambda *of: (_ for _ in ()).throw(error))
        done = prepare(table, tmp_path / "one", StubCaptioner(), **options)
    assert done.dataset["train"][0]["image"] is None and done.dataset["train"][0]["caption"] is None
    (fault,) = done.faults
    assert (fault.kind, fault.kept) == ("image", True) and "Too many open files" in fault.reason
    done = prepare(table, tmp_path / "two", StubCaptioner(), **options)
    assert done.faults == [] and done.dataset["train"][0]["caption"] == "12 by 8, 100.0"

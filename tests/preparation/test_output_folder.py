from pathlib import Path

from datasets import load_from_disk

from tgdi_hf import prepare

from .preparation_stubs import POST, posts, saved_image


def test_images_can_be_embedded_in_the_output(tmp_path, options):
    path = saved_image(tmp_path, "a.png")
    done = prepare(posts({**POST, "image": path}), tmp_path / "out", embed_images=True, **options)
    Path(path).unlink()
    assert load_from_disk(str(tmp_path / "out/dataset"))["train"][0]["image"].size == (12, 8)
    assert done.dataset["train"][0]["image"].size == (12, 8)

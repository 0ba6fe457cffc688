import base64
import io
import pathlib

import numpy as np
import pytest
from PIL import Image

from tgdi_hf import InvalidPost

POST = {"text": "Ann meets Bob", "head": "Ann", "tail": "Bob"}


@pytest.fixture
def processor(_tiny):
    """The processor of the model, which overrides the fixture of this folder."""
    return _tiny[1]


@pytest.fixture
def png():
    file = io.BytesIO()
    Image.new("RGB", (20, 20), "red").save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda png: {"bytes": png}])
def test_encoded_bytes_are_accepted_as_an_image(pipe, image, png, kind):
    expected = pipe({**POST, "image": Image.new("RGB", (20, 20), "red")})
    assert pipe({**POST, "image": kind(png)})["gate"] == pytest.approx(expected["gate"], abs=1e-6)
    inputs = pipe.processor(text=POST["text"], head=(0, 3), tail=(10, 13), images=image, objects=[kind(png)])
    assert inputs["image_mask"].sum() == 1 + min(1, pipe.processor.num_objects)


def test_equal_bytes_are_the_same_image(pipe, png):
    posts = [(i, {**POST, "image": image}) for i, image in enumerate((png, bytes(bytearray(png)), {"bytes": png}))]
    assert len(pipe.reader(posts).inputs["pixel_values"]) == 1


@pytest.mark.parametrize(
    ("path", "advice"),
    [
        ("https://example.com/a.png", "URLs are not fetched; download"),
        ("s3://bucket/a.png", "URLs are not fetched; download"),
        (pathlib.Path("https://example.com/a.png"), "URLs are not fetched; download"),
        ("file:///tmp/nothing.png", "pass the path"),
        ("~/nothing.png", "expanduser"),
        ("images\\1.png", "backslashes"),
        ("C:\\Users\\me\\1.png", "backslashes"),
        ("nothing.png", "leave it out: `None`, or `null` in JSON"),
        ("data:image/png;base64,iVBORw0K", "base64"),
        (base64.b64encode(bytes(200)).decode(), "base64"),
        (base64.b64encode(bytes(20_000)).decode(), "base64"),
        ({"path": "images\\1.png", "bytes": None}, "backslashes"),
    ],
)
def test_errors_explain_invalid_paths(pipe, path, advice):
    with pytest.raises(InvalidPost, match=advice) as error:
        pipe({**POST, "image": path})
    assert error.value.field == "image" and len(str(error.value)) < 600


def test_open_files(pipe, png, tmp_path):
    (tmp_path / "a.png").write_bytes(png)
    for file in (io.BytesIO(png), (tmp_path / "a.png").open("rb")):
        with file, pytest.raises(InvalidPost, match=r"an open file: pass its bytes, `file.read\(\)`, or its path"):
            pipe({**POST, "image": file})
    assert pipe({**POST, "image": np.asarray(Image.open(io.BytesIO(png)))})["gate"] is not None

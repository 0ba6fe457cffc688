import pickle

import pytest
import torch
from PIL import Image

from tgdi_hf.processing.post_batch import PostBatch

POST = {"text": "Ann meets Bob in Rome", "head": "Ann", "tail": [10, 13]}
RED, BLUE = Image.new("RGB", (20, 10), "red"), Image.new("RGB", (20, 10), "blue")


@pytest.fixture
def processor(_tiny):
    """The processor of the model instead of the one of the other tests in this folder."""
    return _tiny[1]


def test_the_images_of_a_row_by_slot(pipe_with_objects):
    pipe = pipe_with_objects
    posts = [{**POST, "image": BLUE}, POST, {**POST, "image": RED, "objects": [BLUE]}, {**POST, "objects": [BLUE]}]
    batch = pipe.read(enumerate(posts))
    blue, red = (pipe.processor.image_processor(image, return_tensors="pt")["pixel_values"][0] for image in (BLUE, RED))
    expected = [{0: blue}, {}, {0: red, 1: blue}, {1: blue}]
    for row, images in enumerate(expected):
        found = batch.images(row)
        assert [*found] == [*images]
        assert all(torch.equal(found[slot], images[slot]) for slot in images)
    assert pipe.read([(0, POST)]).images(0) == {}
    assert PostBatch([], None).images(0) == {}


def test_a_batch_read_in_another_process_gives_the_same_results(pipe):
    posts = [
        {**POST, "image": BLUE},
        {"text": POST["text"], "entities": ["Ann", "Bob", "Rome"]},
        {**POST, "head": "Eve"},
    ]
    expected = pipe(posts, strict=False, batch_size=3)
    batch = pickle.loads(pickle.dumps(pipe.reader(enumerate(posts), strict=False)))
    assert pipe.results(batch, strict=False) == expected
    assert "error" in expected[2]
    with pytest.raises(TypeError, match="no option labels"):
        pipe.results(batch, labels=None)


def test_moving_a_batch_leaves_the_original_in_place(pipe):
    batch = pipe.read([(0, {**POST, "image": BLUE})])
    moved = batch.to(torch.device("meta"))
    assert {value.device.type for value in moved.inputs.values()} == {"meta"}
    assert {value.device.type for value in batch.inputs.values()} == {"cpu"}
    assert PostBatch([], None).to(torch.device("meta")).inputs is None

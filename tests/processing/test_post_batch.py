import copy
import pickle

import pytest
import torch
from PIL import Image

from tgdi_hf.processing.post_batch import PostBatch

POST = {"text": "Ann meets Bob in Rome", "head": "Ann", "tail": [10, 13]}
RED, BLUE = Image.new("RGB", (20, 10), "red"), Image.new("RGB", (20, 10), "blue")


@pytest.fixture
def processor(_tiny):
    """The processor of the model, with room for objects, instead of the one of the other tests in this folder."""
    processor = copy.copy(_tiny[1])
    processor.num_objects = 3
    return processor


@pytest.fixture
def model(_tiny):
    model = copy.deepcopy(_tiny[0])
    model.config.num_objects = 3
    return model


def test_the_first_image_is_that_of_the_post_or_its_first_object(pipe):
    posts = [{**POST, "image": BLUE}, POST, {**POST, "image": RED}, {**POST, "objects": [BLUE]}]
    batch = pipe.read(enumerate(posts))
    blue, red = (pipe.processor.image_processor(image, return_tensors="pt")["pixel_values"][0] for image in (BLUE, RED))
    assert torch.equal(batch.first_image(0), blue)
    assert batch.first_image(1) is None
    assert torch.equal(batch.first_image(2), red)
    assert torch.equal(batch.first_image(3), blue)
    assert pipe.read([(0, POST)]).first_image(0) is None
    assert PostBatch([], None).first_image(0) is None


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

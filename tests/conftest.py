"""Fixtures that several test files share. Everything is made here: no network, no data."""

import copy
import os

os.environ.setdefault("HF_HUB_OFFLINE", "1")  # before transformers and datasets are imported

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModel, set_seed

from tgdi_hf import MultimodalRelationExtractionPipeline, make_corpus
from tgdi_hf.demo.tiny import tiny_image_processor, tiny_tokenizer
from tgdi_hf.demo.tiny_model import tiny_tgdi

from .modeling.conftest import TEXT_CONFIGS, VISION_CONFIGS


@pytest.fixture(scope="session")
def corpus():
    return make_corpus({"train": 96, "validation": 32, "test": 32})


@pytest.fixture(scope="session")
def _tiny(corpus):
    set_seed(0)
    model, processor = tiny_tgdi(corpus)
    return model.eval(), processor


@pytest.fixture
def processor(_tiny):
    return _tiny[1]


@pytest.fixture
def model(_tiny):
    return copy.deepcopy(_tiny[0])


@pytest.fixture
def checkpoint(_tiny, tmp_path):
    """A folder with a model and its processor."""
    model, processor = _tiny
    model.save_pretrained(tmp_path / "checkpoint")
    processor.save_pretrained(tmp_path / "checkpoint")
    return tmp_path / "checkpoint"


@pytest.fixture
def pipe(model, processor):
    return MultimodalRelationExtractionPipeline(model=model, processor=processor)


@pytest.fixture
def pipe_with_objects(model, processor):
    """A pipeline whose model reads three objects besides the image."""
    processor = copy.copy(processor)
    model.config.num_objects = processor.num_objects = 3
    return MultimodalRelationExtractionPipeline(model=model, processor=processor)


@pytest.fixture
def pipe_with_regions(model, processor):
    """A pipeline whose model reads three objects off the image."""
    processor = copy.copy(processor)
    model.config.num_objects = processor.num_objects = 3
    model.config.object_features = processor.object_features = "regions"
    return MultimodalRelationExtractionPipeline(model=model, processor=processor)


@pytest.fixture
def image():
    return Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8))


@pytest.fixture(scope="session")
def encoders(tmp_path_factory):
    """Folders of a text and a vision encoder, with tokenizer and image processor."""
    folder = tmp_path_factory.mktemp("encoders")
    torch.manual_seed(0)
    tokenizer = tiny_tokenizer(["Ann meets Bob in Rome"], vocab_size=120)
    tokenizer.save_pretrained(folder / "text")
    AutoModel.from_config(TEXT_CONFIGS["bert"]).save_pretrained(folder / "text")
    tiny_image_processor(32).save_pretrained(folder / "vision")
    AutoModel.from_config(VISION_CONFIGS["vit"]).save_pretrained(folder / "vision")
    return str(folder / "text"), str(folder / "vision")

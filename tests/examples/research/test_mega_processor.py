import inspect

import numpy as np
import pytest
import torch
from PIL import Image

from examples.research.baselines import MEGAProcessor
from examples.research.baselines.dependency_trees import chain_tree
from examples.research.baselines.structural_alignment import structural_likeness
from tgdi_hf import TGDICollator, TGDIProcessor

IMAGE = Image.new("RGB", (64, 48), "red")
BOXES = [(0, 0, 10, 10), (5, 5, 20, 20), (40, 30, 60, 45)]
TEXT = "Anna met Bob in Rome"
POST = {"text": TEXT, "head": (0, 4), "tail": (16, 20), "image": IMAGE, "objects": BOXES}


@pytest.fixture
def processor(encoders):
    return MEGAProcessor.from_text_vision_pretrained(*encoders)


def pieces_of(processor, text):
    return len(processor.tokenizer.tokenize(text))


def expected_structure(processor, boxes, caption_tokens=0):
    """By hand: the special token and the markers have zeros, all pieces of a word its column."""
    likeness = structural_likeness(chain_tree(TEXT), boxes)
    counts = [pieces_of(processor, word) for word in TEXT.split()]
    assert max(counts) > 1  # the tiny vocabulary splits words
    columns = [np.repeat(likeness[:, [i]], count, axis=1) for i, count in enumerate(counts)]
    none = np.zeros((len(boxes), 1))
    parts = [none, none, columns[0], none, *columns[1:4], none, columns[4], none, none]
    return np.concatenate([*parts, np.zeros((len(boxes), caption_tokens))], axis=1)


def test_pieces_take_the_column_of_their_word(processor):
    batch = TGDICollator(processor)([POST, {**POST, "objects": BOXES[:1]}, {**POST, "image": None, "objects": None}])
    assert set(batch) <= set(processor.model_input_names)
    assert batch["image_mask"].tolist() == [[0, 1, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert batch["structure"].shape == (3, 3, batch["input_ids"].shape[1])
    np.testing.assert_allclose(batch["structure"][0], expected_structure(processor, BOXES), rtol=1e-6)
    np.testing.assert_allclose(batch["structure"][1, :1], expected_structure(processor, BOXES[:1]), rtol=1e-6)
    assert not batch["structure"][1, 1:].any() and not batch["structure"][2].any()


def test_words_give_the_tree_and_the_same_columns(processor):
    by_words = {**POST, "text": None, "words": TEXT.split(), "head": (0, 1), "tail": (4, 5)}
    one, other = (TGDICollator(processor)([post]) for post in (POST, by_words))
    assert torch.equal(one["structure"], other["structure"])
    empty = {**by_words, "words": ["Anna", "", *TEXT.split()[1:]], "tail": (5, 6)}
    assert torch.equal(TGDICollator(processor)([empty])["structure"], one["structure"])


def test_without_objects_there_is_no_structure(processor):
    for post in ({**POST, "objects": None}, {**POST, "objects": [], "image": None}):
        batch = TGDICollator(processor)([post])
        assert "structure" not in batch and "pixel_values" not in batch


def test_objects_that_are_images_have_no_edges(processor):
    parts = [BOXES[0], Image.new("RGB", (9, 9)), BOXES[1]]
    batch = TGDICollator(processor, share_images=False)([{**POST, "objects": parts}])
    assert batch["structure"].shape[1] == processor.num_objects == 10
    expected = expected_structure(processor, [BOXES[0], None, BOXES[1]])
    np.testing.assert_allclose(batch["structure"][0, :3], expected, rtol=1e-6)


def test_truncated_texts_keep_the_columns_of_what_is_left(processor):
    long = {**POST, "text": "so " * 40 + TEXT + " so" * 40, "head": (120, 124), "tail": (136, 140)}
    whole = TGDICollator(processor)([long])
    processor.max_length = 24
    cut = TGDICollator(processor)([long])
    assert cut["input_ids"].shape[1] == 24
    start = int(whole["head_index"] - cut["head_index"])
    assert torch.equal(cut["structure"][0, :, 1:23], whole["structure"][0, :, start + 1 : start + 23])


def test_other_forms_of_a_call(processor):
    call = {"images": IMAGE, "text": TEXT, "head": (0, 4), "tail": (16, 20), "objects": BOXES, "caption": "two men"}
    one = processor(**call, return_tensors="np")
    assert isinstance(one["structure"], np.ndarray)
    np.testing.assert_allclose(one["structure"][0, :3], expected_structure(processor, BOXES), rtol=1e-6)
    processor.use_caption = True
    with_caption = processor(**call)
    behind = with_caption["enhanced_input_ids"].shape[1] - one["input_ids"].shape[1]
    assert behind > 0
    expected = expected_structure(processor, BOXES, caption_tokens=behind)
    np.testing.assert_allclose(with_caption["structure"][0, :3], expected, rtol=1e-6)


def test_saving_and_loading(processor, tmp_path):
    processor.num_objects = 2
    processor.save_pretrained(tmp_path)
    again = MEGAProcessor.from_pretrained(tmp_path)
    assert (again.trees, again.num_objects, again.use_image) == ("chain", 2, False)
    assert torch.equal(TGDICollator(again)([POST])["structure"], TGDICollator(processor)([POST])["structure"])
    assert processor.to_dict()["trees"] == "chain"


def test_it_has_every_option_of_the_processor():
    own, base = (set(inspect.signature(of.__init__).parameters) for of in (MEGAProcessor, TGDIProcessor))
    assert own == base | {"trees"}

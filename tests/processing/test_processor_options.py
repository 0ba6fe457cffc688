import json

import numpy as np
import pytest
import torch
from transformers import TensorType
from transformers.utils import PaddingStrategy

from tgdi_hf.processing.processing_tgdi import TGDIProcessor, TGDIProcessorKwargs
from tgdi_hf.processing.processor_options import InvalidOption

from .conftest import build

POST = dict(text="JFK and Obama at Harvard", head=(0, 3), tail=(17, 24))
NAN = float("nan")
WRONG = [
    *[("num_objects", value) for value in (1.5, 2.0, -1, True, "3", None, NAN, [3])],
    *[("max_image_pixels", value) for value in (-1, 0, 1e6, False, "100", None, NAN, float("inf"))],
    *[("use_caption", value) for value in ("no", "false", 0, 1, None, NAN, [])],
    *[("use_image", value) for value in ("no", 1, None)],
    *[("max_length", value) for value in (True, False, 12.5, 64.0, "64", 0, -5, NAN, [64])],
]


def shown(value):
    return str(value) if type(value) is int else repr(value)


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_a_value_that_can_not_be_right_is_refused_wherever_it_comes_from(name, value, tmp_path):
    message = rf"^`{name}` is {shown(value)}; expected ".replace("[", r"\[")
    with pytest.raises(InvalidOption, match=message):
        build(**{name: value})
    processor = build()
    setattr(processor, name, value)
    with pytest.raises(InvalidOption, match=message):
        processor(**POST)
    build().save_pretrained(tmp_path)
    file = tmp_path / "processor_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), name: value}))
    with pytest.raises(InvalidOption, match=rf"{message}.*processor_config.json in {tmp_path}"):
        TGDIProcessor.from_pretrained(tmp_path)
    build().save_pretrained(tmp_path)
    with pytest.raises(InvalidOption, match=message):
        TGDIProcessor.from_pretrained(tmp_path, **{name: value})
    if name == "max_length":
        with pytest.raises(InvalidOption, match=message):
            build()(**POST, max_length=value)
        with pytest.raises(InvalidOption, match=message):
            build()(**POST, text_kwargs={"max_length": value})


@pytest.mark.parametrize("value", ["no", 1, 0.0, NAN])
def test_share_images_is_a_switch(value):
    with pytest.raises(InvalidOption, match="`share_images` is .*; expected True or False"):
        build()(**POST, share_images=value)


@pytest.mark.parametrize("integer", [np.int64, np.uint8, torch.tensor])
def test_integers_of_other_libraries_can_be_saved(integer, tmp_path):
    processor = build(num_objects=integer(2), max_length=integer(40), use_caption=np.bool_(False))
    processor.save_pretrained(tmp_path)
    again = TGDIProcessor.from_pretrained(tmp_path)
    assert (again.num_objects, again.max_length, again.use_caption) == (2, 40, False)
    assert build()(**POST, max_length=integer(10))["input_ids"].shape == (1, 10)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, torch.Tensor),
        ({"return_tensors": "pt"}, torch.Tensor),
        ({"return_tensors": TensorType.PYTORCH}, torch.Tensor),
        ({"return_tensors": "np"}, np.ndarray),
        ({"return_tensors": None}, np.ndarray),
        ({"text_kwargs": {"return_tensors": "np"}}, np.ndarray),
        ({"images_kwargs": {"return_tensors": "np"}}, np.ndarray),
        ({"common_kwargs": {"return_tensors": "np"}}, np.ndarray),
        ({"common_kwargs": {"return_tensors": "np"}, "text_kwargs": {"return_tensors": "pt"}}, torch.Tensor),
        ({"max_length": 12}, torch.Tensor),
    ],
)
def test_the_type_of_the_tensors(processor, options, expected):
    assert {type(value) for value in processor(**POST, images=np.zeros((4, 4, 3)), **options).values()} == {expected}


@pytest.mark.parametrize("name", ["text_kwargs", "images_kwargs", "common_kwargs"])
def test_nested_options(processor, name):
    with pytest.raises(TypeError, match="TGDIProcessor has no option typo"):
        processor(**POST, **{name: {"typo": 1}})
    with pytest.raises(InvalidOption, match=f"`{name}` is 5; expected a mapping"):
        processor(**POST, **{name: 5})
    processor(**POST, **{name: {}})
    processor(**POST, **{name: None})


def test_common_options_reach_text_and_images(processor):
    expected = processor(**POST, images=np.zeros((4, 4, 3)), max_length=10, do_normalize=False)
    found = processor(**POST, images=np.zeros((4, 4, 3)), common_kwargs={"max_length": 10, "do_normalize": False})
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert found["input_ids"].shape == (1, 10) and found["pixel_values"].max() == 0


@pytest.mark.parametrize("value", ["tf", "jax", "list", 5, True, ["pt"]])
def test_another_type_of_tensors_is_refused(processor, value):
    with pytest.raises(InvalidOption, match=r"`return_tensors` is .*; expected 'pt', 'np' or `None`"):
        processor(**POST, return_tensors=value)


@pytest.mark.parametrize("options", [{}, {"text_kwargs": {"padding": "max_length"}}, {"padding": "max_length"}])
def test_padding_to_a_fixed_length(processor, options):
    posts = dict(text=["JFK and Obama", "Ann meets Bob at Harvard"], head=[(0, 3)] * 2, tail=[(8, 13)] * 2)
    posts["caption"] = ["two men", None]
    expected = processor(**posts)
    longest, enhanced = expected["input_ids"].shape[1], expected["enhanced_input_ids"].shape[1]
    found = processor(**posts, max_length=24, **options)
    width = (24, 24) if options else (longest, enhanced)
    assert (found["input_ids"].shape[1], found["enhanced_input_ids"].shape[1]) == width
    for name, value in found.items():
        part = expected[name]
        assert torch.equal(value[:, : part.shape[1]] if value.ndim == 2 else value, part)
        if value.ndim == 2:
            rest = value[:, part.shape[1] :]
            assert (rest == (processor.tokenizer.pad_token_id if name.endswith("input_ids") else 0)).all()
    alone = processor(text="JFK and Obama", head=(0, 3), tail=(8, 13), max_length=24, **options)
    assert alone["input_ids"].shape[1] == (24 if options else 9)  # [CLS], four markers, three words, [SEP]


@pytest.mark.parametrize("padding", [True, "longest", PaddingStrategy.LONGEST])
def test_padding_to_the_longest_is_the_default(processor, padding):
    found, expected = processor(**POST, padding=padding), processor(**POST)
    assert all(torch.equal(value, expected[name]) for name, value in found.items())
    assert processor(**POST, padding=PaddingStrategy.MAX_LENGTH, max_length=20)["input_ids"].shape == (1, 20)


@pytest.mark.parametrize("padding", [False, "do_not_pad", None, 1, "left", PaddingStrategy.DO_NOT_PAD])
def test_no_padding_is_refused(processor, padding):
    with pytest.raises(InvalidOption, match="`padding` is .*; expected True, 'longest' or 'max_length'"):
        processor(**POST, padding=padding)


def test_saving_leaves_a_processor_as_it_was(tmp_path):
    build().save_pretrained(tmp_path / "one")
    processor = TGDIProcessor.from_pretrained(tmp_path / "one")
    before = processor.to_dict()
    processor.save_pretrained(tmp_path / "two")
    assert processor.to_dict() == before == TGDIProcessor.from_pretrained(tmp_path / "two").to_dict()
    assert "auto_map" in (tmp_path / "two" / "processor_config.json").read_text()  # the code is found again


def test_the_interface_is_that_of_transformers():
    assert TGDIProcessor.valid_processor_kwargs is TGDIProcessorKwargs

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from datasets import Dataset, Features, List, Value
from datasets import Image as ImageFeature
from PIL import Image

from tgdi_hf.processing.post_columns import column, text_column

TEXTS, HEADS, TAILS = ["JFK and Obama", "Ann meets Bob"], [[0, 3], [0, 3]], [[8, 13], [10, 13]]
CAPTIONS = ["two men", None]
RED = Image.new("RGB", (20, 10), "red")
SHIFTED = [7, 3]  # an index that does not start at 0


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.fixture
def expected(processor):
    return processor(text=TEXTS, head=HEADS, tail=TAILS, caption=CAPTIONS, images=[RED, None], objects=[[RED], None])


FORMS = {
    "tuple": tuple,
    "object array": lambda values: np.array([*values, None], dtype=object)[:-1],
    "pandas": lambda values: pd.Series(values, index=SHIFTED, dtype=object),
    "pandas, numbered": pd.Series,
    "pandas of a frame": lambda values: pd.DataFrame({"a": pd.Series(values, dtype=object)}).query("index >= 0")["a"],
}


@pytest.mark.parametrize("form", FORMS)
def test_columns_of_any_kind(processor, expected, form):
    make = FORMS[form]
    columns = dict(text=TEXTS, head=HEADS, tail=TAILS, caption=CAPTIONS, images=[RED, None], objects=[[RED], None])
    assert same(processor(**{name: make(values) for name, values in columns.items()}), expected)


def test_arrays_of_strings_and_numbers(processor):
    expected = processor(text=TEXTS, head=HEADS, tail=TAILS, caption=["a", "b"])
    assert same(
        processor(text=np.array(TEXTS), head=np.array(HEADS), tail=torch.tensor(TAILS), caption=np.array(["a", "b"])),
        expected,
    )
    for kind in (pa.array, lambda values: pa.chunked_array([pa.array(values)])):
        assert same(
            processor(text=kind(TEXTS), head=kind(HEADS), tail=kind(TAILS), caption=kind(["a", "b"])),
            expected,
        )
    strings = pd.Series(TEXTS, dtype="string")
    assert same(
        processor(text=strings, head=HEADS, tail=TAILS, caption=pd.Series(["a", "b"], dtype="string")), expected
    )


@pytest.mark.parametrize("dtype", [object, "string"])
def test_missing_values_of_pandas_become_none(processor, dtype):
    expected = processor(text=TEXTS, head=HEADS, tail=TAILS, caption=CAPTIONS)
    captions = pd.Series(["two men", float("nan")], dtype=dtype)
    assert same(processor(text=TEXTS, head=HEADS, tail=TAILS, caption=captions), expected)
    images = pd.Series([RED, float("nan")], dtype=object)
    inputs = processor(text=TEXTS, head=HEADS, tail=TAILS, images=images)
    assert inputs["image_mask"][:, 0].tolist() == [1, 0]
    with pytest.raises(ValueError, match="row 1: `text` is None"):
        processor(text=pd.Series(["a b", None], dtype=dtype), head=[(0, 1)] * 2, tail=[(2, 3)] * 2)


def test_columns_of_datasets(processor, expected):
    rows = Dataset.from_dict(
        {
            "text": TEXTS,
            "head": HEADS,
            "tail": TAILS,
            "caption": CAPTIONS,
            "image": [RED, None],
            "objects": [[RED], None],
        },
        Features(
            {"text": Value("string"), "head": List(Value("int64")), "tail": List(Value("int64"))}
            | {"caption": Value("string"), "image": ImageFeature(), "objects": List(ImageFeature())}
        ),
    )
    columns = ("text", "head", "tail", "caption", "objects")
    assert same(processor(**{name: rows[name] for name in columns}, images=rows["image"]), expected)
    rows = rows.remove_columns(["image", "objects"])
    expected = processor(text=TEXTS, head=HEADS, tail=TAILS, caption=CAPTIONS)
    for form in ("numpy", "pandas", "arrow"):
        batch = rows.with_format(form)[:]
        assert same(processor(**{name: batch[name] for name in columns[:-1]}), expected), form


def test_words_in_a_column_of_pandas(processor):
    words = [text.split() for text in TEXTS]
    expected = processor(text=words, head=[(0, 1)] * 2, tail=[(2, 3)] * 2)
    assert same(processor(text=pd.Series(words), head=[(0, 1)] * 2, tail=[(2, 3)] * 2), expected)
    assert same(processor(text=tuple(map(tuple, words)), head=[(0, 1)] * 2, tail=[(2, 3)] * 2), expected)


@pytest.mark.parametrize(
    "empty",
    [[], (), np.array([]), np.array([], dtype=str), pd.Series([], dtype=object), pa.array([])],
    ids=lambda empty: type(empty).__name__,
)
def test_an_empty_batch_is_rejected(processor, empty):
    with pytest.raises(ValueError, match="`text` is an empty list; expected at least one post"):
        processor(text=empty, head=[], tail=[])
    with pytest.raises(ValueError, match="`text` has 1 rows, `head` 0; expected one value"):
        processor(text=["a b"], head=empty, tail=[(2, 3)])
    with pytest.raises(ValueError, match="`text` has 1 rows, `images` 0; expected one value"):
        processor(text=["a b"], head=[(0, 1)], tail=[(2, 3)], images=empty)


@pytest.mark.parametrize("value", [5, 2.5, True, b"JFK", {"text": "JFK"}, {"JFK"}, np.array("JFK"), torch.tensor(1)])
def test_values_other_than_columns_are_rejected(value):
    with pytest.raises(ValueError, match="`text` is .*; expected a string, or a list of strings or of lists of words"):
        text_column(value)
    with pytest.raises(ValueError, match=r"`text` has 1 rows, `head` .*; expected one value"):
        column("head", value, 1)

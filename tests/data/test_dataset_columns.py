import pytest
from datasets import Dataset, IterableDatasetDict

from tgdi_hf.data.dataset_columns import spans_of, texts_of, undecoded


@pytest.fixture
def rows(corpus):
    return corpus["train"].select(range(20))


def test_images_stay_encoded_in_datasets_streams_and_splits(rows):
    expected = undecoded(rows)["image"][:]
    assert {type(image) for image in expected} == {dict, type(None)}
    splits = undecoded(IterableDatasetDict(train=rows.to_iterable_dataset()))
    assert isinstance(splits, IterableDatasetDict)
    assert [row["image"] for row in splits["train"]] == expected
    assert undecoded({"train": rows})["train"]["image"][:] == expected
    assert undecoded(undecoded(rows))["image"][:] == expected


def test_rows_without_declared_features_are_returned_as_they_are(rows):
    as_list = [*rows]
    mapped = rows.to_iterable_dataset().map(lambda row: row)
    assert undecoded(as_list) is as_list
    assert undecoded(mapped) is mapped


def test_rows_that_are_tables_become_mappings(rows):
    row = undecoded(rows.with_format("pandas"))[0]
    assert isinstance(row, dict) and row == undecoded(rows)[0]


def test_texts_are_words_or_text():
    texts = Dataset.from_dict({"words": [["Ann", "meets"], None], "text": [None, "Bob  waits"]})
    assert texts_of(texts) == ["Ann meets", "Bob  waits"]


def test_spans_are_counted_in_characters():
    rows = Dataset.from_dict({"words": [["Ann", "meets", "Bob"]], "head": [[2, 3]], "tail": [[0, 1]]})
    assert [*spans_of(rows)] == [((10, 13), (0, 3))]
    ambiguous = Dataset.from_dict({"text": ["Ann meets Ann"], "head": ["Ann"], "tail": ["meets"]})
    assert [*spans_of(ambiguous)] == [((0, 3), (4, 9))]

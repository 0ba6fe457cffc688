import pytest
from datasets import ClassLabel, Dataset, DatasetDict, List

from tgdi_hf.labels import label_names, with_class_labels


def splits(column, *rows):
    return DatasetDict(train=Dataset.from_dict({column: list(rows)}), validation=Dataset.from_dict({column: rows[:1]}))


def test_the_negative_label_comes_first():
    named = with_class_labels(splits("relation", "b", "no_relation", "a"), "no_relation")
    assert named["train"].features["label"].names == ["no_relation", "a", "b"]
    assert named["train"]["label"][:] == [2, 0, 1]
    by_alphabet = with_class_labels(splits("label", "b", "no_relation", "a"), None)
    assert by_alphabet["train"].features["label"].names == ["a", "b", "no_relation"]


@pytest.mark.parametrize("column", ["label", "labels", "relation", "relations"])
def test_lists_of_names_become_lists_of_ids(column, caplog):
    sets = with_class_labels(splits(column, ["peer", "couple"], ["None"], [], ["peer"]))
    assert sets["train"].features["label"] == List(ClassLabel(names=["couple", "peer"]))
    assert sets["train"]["label"][:] == [[1, 0], [], [], [1]]
    assert sets["validation"]["label"][:] == [[1, 0]]
    assert "Rows labelled 'None' have no relation" in caplog.text
    assert label_names(sets) == (["couple", "peer"], True) == label_names(sets["train"])


def test_a_name_beside_another_one_is_a_relation():
    sets = with_class_labels(splits("label", ["other", "peer"], ["other"]))
    assert label_names(sets) == (["other", "peer"], True)
    alone = splits("label", ["NA"], ["peer"])
    assert label_names(with_class_labels(alone))[0] == ["peer"]
    assert label_names(with_class_labels(alone, None))[0] == ["NA", "peer"]
    with pytest.raises(ValueError, match="'no', which is not a label"):
        with_class_labels(alone, "no")


def test_a_list_with_something_else_is_refused():
    with pytest.raises(ValueError, match="has the value 3; expected the name of a relation"):
        with_class_labels(splits("label", [3], [4]))

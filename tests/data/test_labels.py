import pytest
from datasets import ClassLabel, Dataset, DatasetDict, List

from tgdi_hf.data.labels import label_names, with_class_labels


def splits(column, *rows):
    return DatasetDict(train=Dataset.from_dict({column: list(rows)}), validation=Dataset.from_dict({column: rows[:1]}))


def test_the_negative_label_comes_first():
    named = with_class_labels(splits("relation", "b", "no_relation", "a"), "no_relation")
    assert named["train"].features["label"].names == ["no_relation", "a", "b"]
    assert named["train"]["label"][:] == [2, 0, 1]
    mnre_1 = with_class_labels(splits("relation", "b", "none", "a"))
    assert mnre_1["train"].features["label"].names == ["none", "a", "b"]
    by_alphabet = with_class_labels(splits("label", "b", "no_relation", "a"), None)
    assert by_alphabet["train"].features["label"].names == ["a", "b", "no_relation"]


@pytest.mark.parametrize("column", ["label", "labels", "relation", "relations"])
def test_lists_of_names_become_lists_of_ids(column):
    sets = with_class_labels(splits(column, ["peer", "couple"], ["None"], [], ["peer"]))
    assert sets["train"].features["label"] == List(ClassLabel(names=["couple", "peer"]))
    assert sets["train"]["label"][:] == [[1, 0], [], [], [1]]
    assert sets["validation"]["label"][:] == [[1, 0]]
    assert label_names(sets) == (["couple", "peer"], True) == label_names(sets["train"])


def test_the_negative_label_is_removed_from_lists():
    alone = splits("label", ["NA"], ["peer"])
    with pytest.raises(ValueError, match="'NA' may stand for no relation.*--negative 'NA'"):
        with_class_labels(alone)
    assert label_names(with_class_labels(alone, "NA"))[0] == ["peer"]
    assert label_names(with_class_labels(alone, None))[0] == ["NA", "peer"]
    with pytest.raises(ValueError, match="'no', which is not a label"):
        with_class_labels(alone, "no")


@pytest.mark.parametrize(("none", "negative"), [("None", "auto"), ("no_relation", "no_relation")])
def test_a_row_with_a_relation_and_the_negative_label_is_refused(none, negative):
    both = splits("label", ["peer"], [none], ["peer", none])
    with pytest.raises(
        ValueError, match=f"train, row 2: the labels are .*'{none}' stands for no relation.*--no-negative"
    ):
        with_class_labels(both, negative)
    assert label_names(with_class_labels(both, None))[0] == sorted(["peer", none])


@pytest.mark.parametrize("column", [["a", "b"], [["a"], ["b"]]])
def test_an_unknown_negative_label_is_refused(column):
    with pytest.raises(ValueError, match="'no_relation', which is not a label; the labels are a, b"):
        with_class_labels(splits("label", *column), "no_relation")
    with pytest.raises(ValueError, match="'no_relation', which is not a label"):
        with_class_labels(with_class_labels(splits("label", "a", "b")), "no_relation")


def test_a_column_of_numbers_is_refused():
    with pytest.raises(ValueError, match="has the value 3; expected the name of a relation"):
        with_class_labels(splits("label", [3], [4]))


def test_rows_without_labels_are_refused(corpus):
    with pytest.raises(ValueError, match="no column 'label' or 'relation'.*found .*text"):
        with_class_labels(corpus.remove_columns("label"))
    renamed = with_class_labels(corpus.rename_column("label", "relation"))
    assert renamed["train"].features["label"] == corpus["train"].features["label"]

import pytest

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction
from tgdi_hf.modeling.negative_label import as_spelled, find_negative, likely_negatives, negative_of

from .conftest import tiny_config

USUAL = [
    *("no_relation", "NA", "Other", "NONE", "no relation", "N/A", "NIL", "null", "No-Relation", "unrelated", "others"),
    *("Other(e1,e2)", "no-rel(e2,e1)", "UNKNOWN", "无关系", "NoRel", "False", "", "NOTA", "none of the above"),
    *("negative", "Background"),
]
RELATIONS = ["founded by", "brother", "lives_in", "/per/org/member_of", "another", "national", "opponent", "notes",
             "alias", "nominee", "nothing_but_friends"]  # fmt: skip


def labels(*names, **options):
    named = {"id2label": dict(enumerate(names)), "label2id": {name: i for i, name in enumerate(names)}}
    return {"num_labels": len(names), **named, **options}


@pytest.mark.parametrize("name", USUAL)
def test_usual_names_of_the_negative_label_must_be_declared(name):
    assert likely_negatives(["works_for", name]) == [name]
    with pytest.raises(ValueError, match=r"No label is called 'None'.*--negative.*--no-negative"):
        find_negative(["works_for", name])
    assert find_negative(["works_for", name], name) == name
    assert find_negative(["works_for", name], None) is None


@pytest.mark.parametrize("name", RELATIONS)
def test_relation_names_are_not_mistaken_for_the_negative_label(name):
    assert likely_negatives([name]) == []
    assert find_negative(["works_for", name]) is None


def test_the_label_none_is_the_negative_label_in_the_spelling_of_either_mnre():
    assert find_negative(["a", "None", "NA"]) == "None"
    assert find_negative(["a", "none", "NA"]) == find_negative(["a", "none"], "None") == "none"
    assert as_spelled("NA", ["none"]) == "NA"
    assert as_spelled(None, ["none"]) is None
    with pytest.raises(ValueError, match="'no', which is not a label; the labels are a, NA. Did you mean 'NA'"):
        find_negative(["a", "NA"], "no")


@pytest.mark.parametrize("twin", ["none", "NONE", "None ", " none"])
def test_two_spellings_of_none_are_rejected(twin):
    with pytest.raises(ValueError, match=f"The labels 'None' and '{twin}' are different labels"):
        find_negative(["None", twin, "a"])
    if twin != "none":
        with pytest.raises(ValueError, match=f"The labels 'none' and '{twin}' are different labels"):
            find_negative([twin, "none"])


def test_the_configuration_declares_the_negative_label():
    config = tiny_config(**labels("works_for", "no_relation", negative_label="no_relation"))
    assert config.find_negative() == "no_relation" and config.none_label == 1
    assert config.find_negative(None) is None
    every = tiny_config(**labels("works_for", "no_relation", negative_label=None))
    assert every.find_negative() is None and every.none_label is None
    mnre_1 = tiny_config(**labels("/per/per/colleague", "none"))
    assert mnre_1.find_negative() == "none" and mnre_1.none_label == 1
    undeclared = tiny_config(**labels("works_for", "no_relation"))
    with pytest.raises(ValueError, match="'no_relation' may stand for no relation"):
        undeclared.find_negative()
    with pytest.raises(Exception, match="'no_relaton', which is not a label"):
        tiny_config(**labels("works_for", "no_relation", negative_label="no_relaton"))


@pytest.mark.parametrize("negative", ["no_relation", None, "None"])
def test_the_negative_label_survives_saving(negative, tmp_path):
    tiny_config(**labels("None", "no_relation", negative_label=negative)).save_pretrained(tmp_path)
    again = TGDIConfig.from_pretrained(tmp_path)
    assert again.negative_label == negative
    # It does not apply to another set of labels.
    assert TGDIConfig.from_pretrained(tmp_path, num_labels=3).negative_label == "None"


def test_configurations_without_the_field_use_the_labels_of_the_data():
    class Config:
        pass

    assert negative_of(Config(), ["None", "a"]) == "None"
    assert negative_of(Config(), ["none", "a"]) == "none"
    with pytest.raises(ValueError, match="may stand for no relation"):
        negative_of(Config(), ["NA", "a"])


def test_a_multi_label_model_has_no_negative_label():
    config = tiny_config(**labels("a", "other", problem_type="multi_label_classification"))
    assert config.find_negative() is None and config.thresholds == [0.5, 0.5]
    with pytest.raises(ValueError, match="a multi-label model has none"):
        config.find_negative("other")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(problem_type="regression"), "relations are classes"),
        (dict(decision_thresholds=[0.5, 0.5]), "`problem_type='multi_label_classification'`"),
        (dict(problem_type="multi_label_classification", decision_thresholds=[0.5]), "each of the 2 labels"),
        (dict(problem_type="multi_label_classification", decision_thresholds=[0.5, 1.0]), "between 0 and 1"),
        (dict(problem_type="multi_label_classification", branch_consistency_weight=1.0), "mutually exclusive"),
        (dict(problem_type="multi_label_classification", direction_balanced=True), "mutually exclusive"),
    ],
)
def test_options_of_another_problem_type_are_rejected(options, message):
    with pytest.raises(Exception, match=message):
        tiny_config(**labels("a", "b"), **options)
    for name in ("None", "none"):
        with pytest.raises(Exception, match=f"'{name}' is a label of a multi-label model.*predicting no label"):
            tiny_config(**labels("a", name), problem_type="multi_label_classification")


@pytest.mark.parametrize(("name", "value"), [("problem_type", "regression"), ("decision_thresholds", [2.0] * 5)])
def test_a_changed_configuration_is_validated_again(name, value):
    config = tiny_config()
    try:
        setattr(config, name, value)
    except ValueError:  # on assignment
        return
    with pytest.raises(Exception, match=name):
        TGDIForRelationExtraction(config)

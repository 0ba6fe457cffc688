from datasets import ClassLabel, List, Value

from tgdi_hf import RELATIONS, load_mnre
from tgdi_hf.data.mnre_schema import FEATURES, features_of
from tgdi_hf.modeling.negative_label import NEGATIVE


def test_mnre_has_23_relations_and_the_negative_label_is_the_first():
    assert len(set(RELATIONS)) == len(RELATIONS) == 23
    assert RELATIONS.index(NEGATIVE) == 0


def test_a_loaded_split_has_the_features_of_the_schema(folder):
    features = load_mnre(folder)["train"].features
    assert features == FEATURES
    assert features["label"] == ClassLabel(names=list(RELATIONS))
    assert features["head"] == List(Value("int32"), length=2)


def test_the_label_has_the_relations_of_the_corpus():
    features = features_of(["none", "/per/per/colleague"])
    assert features["label"] == ClassLabel(names=["none", "/per/per/colleague"])
    assert {**features, "label": FEATURES["label"]} == FEATURES

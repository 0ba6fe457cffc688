import math

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError
from torch.nn.functional import cross_entropy

from tgdi_hf import TGDIConfig, TGDIForRelationExtraction
from tgdi_hf.modeling.inverse_relations import fold_inverses

from .conftest import tiny_config, tiny_inputs, tiny_model

NAMES = ["a", "None", "b"]
DIRECTED = {
    "num_labels": 3,
    "id2label": dict(enumerate(NAMES)),
    "label2id": {name: i for i, name in enumerate(NAMES)},
    "direction_balanced": True,
    "inverse_labels": 2,
}


def test_inverse_relations_are_added_to_the_negative_label():
    scores = torch.tensor([[1.0, 2.0, 3.0, 4.0, 2.0]]).log()  # twelfths; the second label is the negative one
    folded = fold_inverses(scores, num_labels=3, none=1)
    torch.testing.assert_close(folded.softmax(dim=1), torch.tensor([[1.0, 8.0, 3.0]]) / 12)
    torch.testing.assert_close(folded[:, [0, 2]], scores[:, [0, 2]])
    assert fold_inverses(scores.bfloat16(), num_labels=3, none=1).dtype == torch.bfloat16
    large = fold_inverses(torch.tensor([[1000.0, 1000.0, 0.0]]), num_labels=2, none=0)
    torch.testing.assert_close(large, torch.tensor([[1000.0, 1000.0]]))


def test_a_model_returns_directed_and_folded_logits(tmp_path):
    model, inputs = tiny_model(**DIRECTED), tiny_inputs()
    labels = torch.tensor([0, 3, 4, -100])
    found = model(**inputs, labels=labels)
    assert found.directed_logits.shape == (4, 5)
    torch.testing.assert_close(found.logits, fold_inverses(found.directed_logits, 3, 1))
    torch.testing.assert_close(found.loss, cross_entropy(found.directed_logits, labels))
    model.save_pretrained(tmp_path)
    again = TGDIForRelationExtraction.from_pretrained(tmp_path)
    torch.testing.assert_close(again(**inputs).logits, found.logits)
    assert tiny_model()(**inputs).directed_logits is None


def test_labels_may_be_given_by_id2label_alone(tmp_path):
    """In this case transformers leaves `label2id` empty."""
    names = {0: "a", 1: "None", 2: "b"}
    plain = tiny_model(num_labels=3, id2label=names)
    assert plain.config.label2id is None
    assert plain(**tiny_inputs()).logits.shape == (4, 3)
    model = tiny_model(num_labels=3, id2label=names, direction_balanced=True, inverse_labels=2)
    found = model(**tiny_inputs())
    torch.testing.assert_close(found.logits, fold_inverses(found.directed_logits, 3, 1))


def test_other_labels_discard_the_inverse_relations(tmp_path):
    tiny_model(**DIRECTED, symmetric_relations=["b"]).save_pretrained(tmp_path)
    for options in ({"num_labels": 5}, {"num_labels": 5, "inverse_labels": 0}, {"id2label": {0: "None", 1: "c"}}):
        config = TGDIConfig.from_pretrained(tmp_path, **options)
        assert (config.inverse_labels, config.symmetric_relations) == (0, None)
    more = {"id2label": dict(enumerate(["None", "c", "d", "e"])), "inverse_labels": 3}
    assert TGDIConfig.from_pretrained(tmp_path, **more).inverse_labels == 3
    assert TGDIConfig.from_pretrained(tmp_path, num_labels=3).inverse_labels == 2
    assert TGDIConfig.from_pretrained(tmp_path, id2label={0: "x", 1: "None", 2: "y"}).inverse_labels == 2
    same = TGDIConfig.from_pretrained(tmp_path, direction_balanced=False, inverse_labels=0)
    assert not same.direction_balanced
    with pytest.raises(StrictDataclassClassValidationError, match="`inverse_labels` is 2"):
        TGDIConfig.from_pretrained(tmp_path, direction_balanced=False)


def test_labels_of_inverse_relations_train_their_own_outputs():
    model, inputs = tiny_model(**DIRECTED), tiny_inputs()
    model(**inputs, labels=torch.tensor([3, 3, 3, 3])).loss.backward()
    # Training on the inverse of the first relation lowers all other scores, that of the negative label included.
    assert (model.classifier.bias.grad > 0).tolist() == [True, True, True, False, True]
    assert math.isclose(model.classifier.bias.grad.sum().item(), 0, abs_tol=1e-6)


@pytest.mark.parametrize(
    "wrong",
    [
        {"inverse_labels": -1},
        {"inverse_labels": 3},
        {"direction_balanced": False},
        {"id2label": {0: "a", 1: "b", 2: "c"}, "label2id": {"a": 0, "b": 1, "c": 2}},
    ],
)
def test_inverse_labels_require_both_entity_orders_and_a_negative_label(wrong):
    with pytest.raises(StrictDataclassClassValidationError, match="`inverse_labels` is .*both orders of every pair"):
        tiny_config(**{**DIRECTED, **wrong})

import math

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError

from tgdi_hf.modeling.classification_loss import classification_loss
from tgdi_hf.modeling.result_fusion import at_markers
from tgdi_hf.modeling.swapped_rows import supported_rows

from .conftest import tiny_config, tiny_inputs, tiny_model


def test_swapped_rows_count_if_the_text_supports_their_label():
    # Probabilities 3/4 and 1/4 of the two labels, and 1/2 each.
    scores = torch.tensor([[math.log(3), 0.0]] * 3 + [[0.0, 0.0]])
    labels, matches = torch.tensor([0, 1, 1, 0]), torch.tensor([0, 0, 1, 0])
    assert supported_rows(scores, labels, matches).tolist() == [1, 0, 1, 0]
    assert supported_rows(scores, torch.tensor([0, -100, 1, 0]), matches) is not None  # nothing out of range
    assert supported_rows(scores, labels, None) is None
    # The divisor stays that of all labels.
    weights = torch.tensor([1.0, 0.0, 1.0, 0.0])
    loss = classification_loss(scores, labels, weights=weights)
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 4)


def test_the_loss_of_the_text_alone_is_added_in_training():
    model, inputs = tiny_model(text_loss_weight=2.0), tiny_inputs()
    labels = torch.tensor([0, 1, 2, 3])
    scored = model(**inputs, labels=labels).loss  # in evaluation mode
    model.train()
    text = {name: inputs[name] for name in ("input_ids", "attention_mask", "token_type_ids")}
    plain = model.tgdi.text_encoder(**text).last_hidden_state
    alone = model.classifier(at_markers(plain, inputs["head_index"], inputs["tail_index"]))
    text_loss = torch.nn.functional.cross_entropy(alone, labels)
    torch.testing.assert_close(model(**inputs, labels=labels).loss, scored + 2 * text_loss)
    matches = torch.tensor([0, 1, 0, 1])
    counted = supported_rows(alone, labels, matches)
    full = torch.nn.functional.cross_entropy(model(**inputs).logits, labels, reduction="none")
    assert counted.sum() < 4
    found = model(**inputs, labels=labels, image_matches=matches).loss
    torch.testing.assert_close(found, (full * counted).mean() + 2 * text_loss)


@pytest.mark.parametrize("images", [True, False])
def test_every_architecture_has_a_loss_of_the_text_alone(images):
    losses = []
    for weight in (0.0, 1.0):
        model = tiny_model(text_loss_weight=weight, use_text_oriented_interaction=False).train()
        losses.append(model(**tiny_inputs(images=images), labels=torch.tensor([0, 1, 2, 3])).loss)
    assert losses[1] > losses[0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_loss_weight": -1}, "`text_loss_weight` is -1; expected 0 or more"),
        ({"text_loss_weight": 1.0, "problem_type": "multi_label_classification"}, "mutually exclusive labels"),
    ],
)
def test_invalid_weights_of_the_text_are_refused(options, message):
    with pytest.raises(StrictDataclassClassValidationError, match=message):
        tiny_config(**options)

import math

import pytest
import torch

from tgdi_hf.modeling.classification_loss import classification_loss

from .conftest import tiny_model

SCORES = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0]])
HELD = torch.tensor([[0.0, 1.0], [0.0, 0.0]])


def test_binary_cross_entropy_by_hand():
    # -log of 1/2, 3/4, 1/4, 1/2; the mean, or the sum over 8 that a step accumulates.
    expected = math.log(2) + math.log(4 / 3) + math.log(4) + math.log(2)
    assert classification_loss(SCORES, HELD, True).item() == pytest.approx(expected / 4)
    assert classification_loss(SCORES, HELD, True, 8).item() == pytest.approx(expected / 8)
    ignored = HELD.clone()
    ignored[1] = -100
    assert classification_loss(SCORES, ignored, True).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_labels_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2,\); a multi-label model expects \(2, 2\)"):
        classification_loss(SCORES, torch.tensor([0, 1]), True)


def test_a_multi_label_model_learns_sets(inputs):
    model = tiny_model(problem_type="multi_label_classification").train()
    held = torch.tensor([[1.0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 1], [1, 0, 0, 0, 0]])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    first = None
    for _ in range(40):
        loss = model(**inputs, labels=held).loss
        first = first or loss.item()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < first / 5
    assert torch.equal((model.eval()(**inputs).logits > 0).float(), held)

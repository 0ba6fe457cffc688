import math

import pytest
import torch

from tgdi_hf.modeling.classification_loss import adjusted_scores, classification_loss

from .conftest import tiny_model

SCORES = torch.tensor([[0.0, math.log(3)], [math.log(3), 0.0]])
HELD = torch.tensor([[0.0, 1.0], [0.0, 0.0]])


def test_binary_cross_entropy_by_hand():
    # -log of 1/2, 3/4, 1/4 and 1/2; their mean, or their sum divided by the 8 labels of an accumulated step.
    expected = math.log(2) + math.log(4 / 3) + math.log(4) + math.log(2)
    assert classification_loss(SCORES, HELD, True).item() == pytest.approx(expected / 4)
    assert classification_loss(SCORES, HELD, True, 8).item() == pytest.approx(expected / 8)
    ignored = HELD.clone()
    ignored[1] = -100
    assert classification_loss(SCORES, ignored, True).item() == pytest.approx((math.log(2) + math.log(4 / 3)) / 2)


def test_multi_label_targets_of_another_shape_are_rejected():
    with pytest.raises(ValueError, match=r"shape \(2,\); a multi-label model expects \(2, 2\)"):
        classification_loss(SCORES, torch.tensor([0, 1]), True)


@pytest.mark.parametrize(
    "labels",
    [
        torch.tensor([0.0, 1.0]),
        torch.tensor([[0], [1]]),
        HELD,
        HELD.long(),
        torch.tensor([False, True]),
        torch.tensor(1),
    ],
    ids=["floats", "a column", "probabilities", "flags", "bools", "one id"],
)
def test_single_label_targets_must_be_ids(labels):
    with pytest.raises(ValueError, match=r"a single-label model expects integer ids of shape \(2,\)"):
        classification_loss(SCORES, labels)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.int8, torch.uint8])
def test_ids_may_have_any_integer_type(dtype):
    # -log of 3/4 for the second label in the first row, and of 1/4 in the second row.
    loss = classification_loss(SCORES, torch.tensor([1, 1], dtype=dtype))
    assert loss.item() == pytest.approx((math.log(4 / 3) + math.log(4)) / 2)


def test_a_multi_label_model_learns_sets_of_labels(inputs):
    model = tiny_model(problem_type="multi_label_classification").train()
    held = torch.tensor([[1.0, 1, 0, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 0, 1], [1, 0, 0, 0, 0]])
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    first = model(**inputs, labels=held).loss.item()
    for _ in range(40):
        loss = model(**inputs, labels=held).loss
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < first / 5
    assert torch.equal((model.eval()(**inputs).logits > 0).float(), held)


@pytest.mark.parametrize(("labels", "message"), [([0, 2], "has 2 in row 1"), ([-1, 0], "has -1 in row 0")])
def test_ids_out_of_range_are_rejected(labels, message):
    with pytest.raises(ValueError, match=f"{message}; expected ids from 0 to 1, or -100"):
        classification_loss(SCORES, torch.tensor(labels))


@pytest.mark.parametrize("value", [2.0, -1.0, math.nan])
def test_flags_other_than_zero_and_one_are_rejected(value):
    with pytest.raises(ValueError, match="in row 1, column 0; expected 1 for a relation that holds, 0"):
        classification_loss(SCORES, torch.tensor([[0, 1], [value, 0]]), True)


def test_labels_on_an_accelerator_are_not_read():
    classification_loss(SCORES.to("meta"), torch.tensor([0, 5], device="meta"))
    classification_loss(SCORES.to("meta"), torch.full((2, 2), 5.0, device="meta"), True)


@pytest.mark.parametrize("count", [None, 0, torch.tensor(0), 4, torch.tensor(4)])
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_batch_without_labels_has_zero_loss_and_gradients(multi_label, count):
    scores = SCORES.clone().requires_grad_()
    loss = classification_loss(scores, torch.full((2, 2) if multi_label else (2,), -100), multi_label, count)
    loss.backward()
    assert loss.item() == 0
    torch.testing.assert_close(scores.grad, torch.zeros(2, 2), rtol=0, atol=0)


@pytest.mark.parametrize("count", [None, 0])
def test_a_batch_without_labels_has_finite_gradients(inputs, count):
    model = tiny_model(matching_loss_weight=1.0).train()
    rows = len(inputs["input_ids"])
    loss = model(**inputs, labels=torch.full((rows,), -100), num_items_in_batch=count).loss
    loss.backward()
    assert loss.isfinite()
    assert all(weights.grad is None or weights.grad.isfinite().all() for weights in model.parameters())


def test_the_loss_is_divided_by_the_labels_of_the_step():
    # One of the two rows has a label, with probability 3/4; an accumulated step divides by its 8 labels.
    labels = torch.tensor([1, -100])
    assert classification_loss(SCORES, labels).item() == pytest.approx(math.log(4 / 3))
    for count in (8, torch.tensor(8)):
        assert classification_loss(SCORES, labels, num_items_in_batch=count).item() == pytest.approx(
            math.log(4 / 3) / 8
        )


def test_logit_adjustment_by_hand():
    # Frequencies 3/4 and 1/4. Odds of 1 to 3 become 1·3 to 3·1, so that both labels have the probability 1/2.
    log_priors = [math.log(3 / 4), math.log(1 / 4)]
    adjusted = adjusted_scores(SCORES, log_priors, 1.0)
    assert classification_loss(adjusted[:1], torch.tensor([1])).item() == pytest.approx(math.log(2))
    # With half of the strength they become √3 to 3, which gives the second label √3 / (1 + √3).
    half = adjusted_scores(SCORES, log_priors, 0.5)
    expected = -math.log(math.sqrt(3) / (1 + math.sqrt(3)))
    assert classification_loss(half[:1], torch.tensor([1])).item() == pytest.approx(expected)
    with pytest.raises(ValueError, match="`logit_adjustment` is 1, but `label_log_priors` is not set"):
        adjusted_scores(SCORES, None, 1.0)


def test_the_loss_is_adjusted_in_training_only(inputs):
    model = tiny_model(
        logit_adjustment=1.0, label_log_priors=[math.log(p) for p in (0.6, 0.1, 0.1, 0.1, 0.1)], classifier_dropout=0.0
    )
    labels = torch.tensor([0, 1, 2, 0])
    with torch.no_grad():
        outputs = model.eval()(**inputs, labels=labels)
        assert outputs.loss.item() == pytest.approx(classification_loss(outputs.logits, labels).item())
        outputs = model.train()(**inputs, labels=labels)  # the tiny model has no other dropout
    expected = classification_loss(outputs.logits + torch.tensor(model.config.label_log_priors), labels)
    assert outputs.loss.item() == pytest.approx(expected.item())
    assert outputs.loss.item() != pytest.approx(classification_loss(outputs.logits, labels).item())
    model.config.label_log_priors = None
    with pytest.raises(ValueError, match="Train with `make_trainer`"):
        model(**inputs, labels=labels)

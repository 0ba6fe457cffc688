import math

import pytest
import torch
from huggingface_hub.errors import StrictDataclassClassValidationError

from tgdi_hf.modeling.branch_consistency import branch_divergence
from tgdi_hf.modeling.result_fusion import at_markers

from .conftest import tiny_config, tiny_inputs, tiny_model


def test_divergence_is_the_mean_of_both_directions_over_labelled_rows():
    p, q = [0.5, 0.5], [0.9, 0.1]
    forth = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    back = 0.9 * math.log(0.9 / 0.5) + 0.1 * math.log(0.1 / 0.5)
    one, other = torch.tensor([p, p, p]).log(), torch.tensor([q, p, q]).log()
    found = branch_divergence(one, other + 3.0, torch.tensor([1, 0, -100]))
    assert found.item() == pytest.approx((forth + back) / 2 / 2, abs=1e-6)
    assert branch_divergence(one, other, torch.full((3,), -100)) == 0
    assert branch_divergence(one.bfloat16(), other.bfloat16(), torch.tensor([1, 0, 1])).dtype == torch.float32


def test_divergence_is_added_in_training_only():
    model, inputs = tiny_model(branch_consistency_weight=2.0), tiny_inputs()
    labels = torch.tensor([0, 1, 2, -100])
    scored = model(**inputs, labels=labels).loss  # in evaluation mode; the tiny encoder has no dropout
    model.train()
    outputs = model.tgdi(**inputs)
    branches = (outputs.cross_modal_last_hidden_state, outputs.text_oriented_last_hidden_state)
    logits = [model.classifier(at_markers(f, inputs["head_index"], inputs["tail_index"])) for f in branches]
    divergence = branch_divergence(*logits, labels)
    assert divergence > 0.01
    torch.testing.assert_close(model(**inputs, labels=labels).loss, scored + 2 * divergence)
    # 3 of the 6 labelled rows of an accumulated step.
    halved = model(**inputs, labels=labels, num_items_in_batch=torch.tensor(6)).loss
    torch.testing.assert_close(halved, (scored + 2 * divergence) / 2)


@pytest.mark.parametrize(
    "options",
    [{"branch_consistency_weight": -1}, {"use_result_fusion": False}, {"use_text_oriented_interaction": False}],
)
def test_the_divergence_requires_two_branches(options):
    with pytest.raises(StrictDataclassClassValidationError, match="`branch_consistency_weight` is"):
        tiny_config(**{"branch_consistency_weight": 1.0, **options})
